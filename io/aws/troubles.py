"""AWS's errors: which of them pass by themselves, and the others in words."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 botocore's own; the built-in one is not raised there
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from eddyline.io.sources.source import Unreadable

TROUBLES = (BotoCoreError, ClientError, ResponseParserError)

_PASSING = {
    "InternalFailure",
    "InternalFailureException",
    "KMSThrottlingException",
    "LimitExceededException",
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "KMSAccessDeniedException",
}
_REFUSED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_MISSING = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
}


def code_of(error: Exception) -> str:
    """The service's name for an error; empty where it did not answer."""
    return error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""


def passes(error: Exception) -> bool:
    """Whether the same request may succeed later: throttled, no connection, the service's fault.

    Example:
        >>> passes(ClientError({"Error": {"Code": "ThrottlingException"}}, "GetRecords"))
        True
        >>> passes(ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetRecords"))
        False
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _PASSING or status >= 500
    if isinstance(error, SSLError):
        return False
    return isinstance(error, (HTTPClientError, ConnectionError, ResponseParserError))


def missing(error: Exception) -> bool:
    """Whether the stream, shard or queue is not there."""
    return code_of(error) in _MISSING


def in_words(error: Exception, name: str, action: str) -> Unreadable:
    """What the user can do about it.

    Args:
        error: One of `TROUBLES`.
        name: Of the source, such as `kinesis:telemetry`.
        action: The IAM action that was tried, such as `kinesis:GetRecords`.

    Example:
        >>> denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetRecords")
        >>> print(in_words(denied, "kinesis:telemetry", "kinesis:GetRecords"))
        kinesis:telemetry: not allowed. The role or user needs the permission kinesis:GetRecords.
    """
    return Unreadable(f"{name}: {_words(error, action)}", passes=passes(error))


def _words(error: Exception, action: str) -> str:
    code = code_of(error)
    if code in _DENIED:
        return f"not allowed. The role or user needs the permission {action}."
    if code in _MISSING:
        return "it does not exist. Create it, or correct its name or the region (AWS_REGION)."
    if code in _REFUSED:
        return f"AWS refuses the credentials ({code}). Renew them; check the machine's clock."
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
        return (
            f"no AWS credentials ({error}). Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, or run under a role that has {action}."
        )
    if isinstance(error, (CredentialRetrievalError, TokenRetrievalError)):
        return f"the AWS credentials cannot be had ({error}). Sign in again."
    if isinstance(error, NoRegionError):
        return "no AWS region. Set AWS_REGION, such as AWS_REGION=eu-central-1."
    if passes(error):
        return f"the service cannot be reached ({error}). Check the network and AWS_ENDPOINT_URL."
    return f"{action} failed: {error}"
