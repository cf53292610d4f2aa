"""Amazon SNS: one publication an alert, in the form that each subscriber's protocol wants."""

import hashlib
import re
import unicodedata
from typing import Any

import msgspec

from eddyline.io.alerts.document import document
from eddyline.io.load import load
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import SnsChannel

LONGEST_SUBJECT = 99
_PASSING = re.compile(r"Throttl|TooManyRequests|InternalError|ServiceUnavailable|RequestTimeout")
_FIFO_ID = re.compile(r"[!-~]{1,128}")


class SnsSender:
    """Publishes to a topic; a `.fifo` one deduplicates by the key and keeps an incident's order."""

    def __init__(self, config: SnsChannel) -> None:
        load("boto3")
        import boto3
        from botocore.config import Config

        self._topic = config.topic
        timeout = config.limits.timeout
        self._client: Any = boto3.client(
            "sns",
            region_name=config.topic.split(":")[3],
            endpoint_url=config.endpoint or None,
            config=Config(
                connect_timeout=timeout, read_timeout=timeout, retries={"total_max_attempts": 1}
            ),
        )

    def send(self, alert: Alert) -> str:
        """Send it once."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.publish(**publication(alert, self._topic))
        except ClientError as error:
            raise _refused(error.response) from None
        except BotoCoreError as error:
            name = "timeout" if "Timeout" in type(error).__name__ else type(error).__name__
            raise Failed(f"no answer: {name}", status=name) from None
        return "200"


def publication(alert: Alert, topic: str) -> dict[str, Any]:
    """The arguments of `Publish`: words for people, JSON for programs, attributes to filter by."""
    written = msgspec.json.encode(document(alert)).decode()
    bodies = {
        "default": alert.message.text,
        "sms": alert.message.subject,
        **dict.fromkeys(("sqs", "lambda", "http", "https", "firehose"), written),
    }
    incident = alert.incident
    attributes = {
        "key": alert.key,
        "kind": incident.kind,
        "severity": incident.severity,
        "transition": incident.transition,
        "site": incident.site or "",
        "device_id": incident.device_id or "",
    }
    arguments = {
        "TopicArn": topic,
        "Subject": ascii_subject(alert.message.subject),
        "MessageStructure": "json",
        "Message": msgspec.json.encode(bodies).decode(),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in attributes.items()
            if value
        },
    }
    if topic.endswith(".fifo"):
        arguments["MessageGroupId"] = _fifo_id(incident.incident_id)
        arguments["MessageDeduplicationId"] = _fifo_id(alert.key)
    return arguments


def ascii_subject(subject: str) -> str:
    """A subject as SNS takes it: ASCII, one line, under 100 characters, begun by a letter or digit.

    Example:
        >>> ascii_subject("Kühlraum 7: 6.5 °C – zu warm")
        'Kuhlraum 7: 6.5 C - zu warm'
    """
    plain = unicodedata.normalize("NFKD", subject.replace("–", "-").replace("—", "-"))
    plain = " ".join(plain.encode("ascii", "ignore").decode().split())
    return (re.sub(r"^[^A-Za-z0-9]+", "", plain) or "eddyline")[:LONGEST_SUBJECT]


def _fifo_id(name: str) -> str:
    return name if _FIFO_ID.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()


def _refused(answer: Any) -> Failed:
    code = str(answer.get("Error", {}).get("Code", "ClientError"))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    passing = bool(_PASSING.search(code)) or status in (408, 429) or status >= 500
    words = str(answer.get("Error", {}).get("Message", ""))[:200]
    return Failed(f"{code}: {words}", status=code, permanent=not passing)
