"""SageMaker: `InvokeEndpoint`, signed with the worker's own AWS credentials."""

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)

from eddyline.io.endpoint.failed import ScoringFailed, refusal


class SageMakerTransport:
    """Invokes an endpoint. Credentials come from boto3's chain and are never a setting.

    Args:
        endpoint: Its name.
        timeout: Seconds to wait for the answer.
        region: Of the endpoint; empty for the configured one.
        variant: Of its production variants; empty for the endpoint's own choice.
    """

    def __init__(self, endpoint: str, timeout: float, region: str = "", variant: str = "") -> None:
        self._target = {"EndpointName": endpoint} | ({"TargetVariant": variant} if variant else {})
        region = region or os.environ.get("AWS_REGION", "")
        self._client: Any = boto3.client(
            "sagemaker-runtime",
            region_name=region or None,
            config=Config(
                connect_timeout=min(5.0, timeout),
                read_timeout=timeout,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=16,
            ),
        )

    def send(self, body: bytes) -> bytes:
        """Send once; give the answer's body.

        Raises:
            ScoringFailed: With the reason.
        """
        try:
            answer = self._client.invoke_endpoint(
                **self._target, ContentType="application/json", Accept="application/json", Body=body
            )
            return answer["Body"].read()
        except ClientError as error:
            raise _refused(error) from None
        except (ConnectTimeoutError, ReadTimeoutError) as error:
            raise ScoringFailed("timeout", str(error)[:200], again=True) from None
        except (BotoCoreError, OSError) as error:
            passing = isinstance(error, HTTPClientError | OSError)
            raise ScoringFailed("unreachable", str(error)[:200], again=passing) from None


def _refused(error: ClientError) -> ScoringFailed:
    """What the service's error means; a model's own status counts where the model answered."""
    answer: Any = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    if code == "ModelError":
        status = int(answer.get("OriginalStatusCode") or 500)
    elif "Throttl" in code:
        status = 429
    elif code == "ModelNotReadyException":
        status = 503
    return refusal(status, str(error)[:200])
