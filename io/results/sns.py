"""Results into an SNS topic, standard or FIFO."""

import base64
import re
from collections.abc import Sequence
from typing import Any

from xxhash import xxh3_128_hexdigest

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES, passes
from eddyline.io.results.chunks import Limits, send_in_chunks
from eddyline.io.results.encode import CONTENT_TYPES, Result
from eddyline.io.rows.resend import Outcome, Problem

# PublishBatch takes 10 messages and 256 KiB, attributes included.
LIMITS = Limits(10, 256 * 2**10, 256 * 2**10)
_FIFO_NAME = re.compile(r"[!-~]{1,128}")


class SnsPublisher:
    """Publishes results to a topic.

    Guarantee: at least once. To a FIFO topic with the result's id as deduplication id, so SNS drops
    repeats for five minutes, and the device as group, so its rows keep their order. SNS carries
    text: an Avro body is base64, which the attribute `content-encoding` says.

    Args:
        name: The topic's ARN. Credentials and region by boto3's chain.
    """

    def __init__(self, name: str) -> None:
        self._topic = name
        self._fifo = name.endswith(".fifo")
        self._client: Any = make_client("sns")

    def attempt(self, results: Sequence[Result]) -> Outcome[Result]:
        """Send once."""
        return send_in_chunks(results, _size, LIMITS, self._publish)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _publish(self, results: Sequence[Result]) -> Outcome[Result]:
        entries = [self._entry(at, result) for at, result in enumerate(results)]
        try:
            answer = self._client.publish_batch(
                TopicArn=self._topic, PublishBatchRequestEntries=entries
            )
        except TROUBLES as error:
            problems = [Problem(result, "undelivered", str(error)) for result in results]
            return Outcome(again=problems) if passes(error) else Outcome(refused=problems)
        outcome: Outcome[Result] = Outcome()
        for told in answer.get("Failed", ()):
            words = f"{told['Code']}: {told.get('Message', '')}"
            problem = Problem(results[int(told["Id"])], "undelivered", words)
            (outcome.refused if told["SenderFault"] else outcome.again).append(problem)
        return outcome

    def _entry(self, at: int, result: Result) -> dict[str, Any]:
        attributes = _attributes(result)
        entry: dict[str, Any] = {
            "Id": str(at),
            "Message": _text(result),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        }
        if self._fifo:
            entry["MessageDeduplicationId"] = _fifo_name(result.result_id)
            entry["MessageGroupId"] = _fifo_name(result.device_id or result.result_id)
        return entry


def _text(result: Result) -> str:
    if result.attributes["content-type"] == CONTENT_TYPES["json"]:
        return result.body.decode()
    return base64.b64encode(result.body).decode()


def _attributes(result: Result) -> dict[str, str]:
    if result.attributes["content-type"] == CONTENT_TYPES["json"]:
        return result.attributes
    return {**result.attributes, "content-encoding": "base64"}


def _fifo_name(text: str) -> str:
    """The text itself where SNS takes it, else its hash."""
    return text if _FIFO_NAME.fullmatch(text) else xxh3_128_hexdigest(text.encode())


def _size(result: Result) -> int:
    attributes = sum(len(k) + len(v) + len("String") for k, v in _attributes(result).items())
    return len(_text(result).encode()) + attributes
