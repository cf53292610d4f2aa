"""Whether the streams and topics that results go to are there."""

from typing import Any

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES, in_words
from eddyline.io.results.destination import parse_destination
from eddyline.pipeline.doctor.check import Ill
from eddyline.pipeline.doctor.google import granted

PUBLISHING = ("pubsub.topics.publish", "pubsub.topics.get")


def look_at_destination(text: str) -> str:
    """Describe the destination; nothing is written to it."""
    destination = parse_destination(text)
    if destination.kind == "kinesis":
        return _stream(destination.name)
    if destination.kind == "sns":
        arguments = {"TopicArn": destination.name}
        _ask("sns", "get_topic_attributes", "sns:GetTopicAttributes", text, arguments)
        return "there; whether we may publish (sns:Publish) shows with the first row"
    return _topic(destination.name)


def _stream(name: str) -> str:
    arguments = {"StreamARN" if name.startswith("arn:") else "StreamName": name}
    action = "kinesis:DescribeStreamSummary"
    answer = _ask("kinesis", "describe_stream_summary", action, f"kinesis:{name}", arguments)
    status = answer["StreamDescriptionSummary"]["StreamStatus"]
    if status not in ("ACTIVE", "UPDATING"):
        raise Ill(f"the stream is {status}", "Wait until it is ACTIVE.")
    return f"{status}; whether we may write (kinesis:PutRecords) shows with the first row"


def _ask(service: str, call: str, action: str, name: str, arguments: dict[str, str]) -> Any:
    try:
        client = make_client(service)
        answer = getattr(client, call)(**arguments)
    except TROUBLES as error:
        raise Ill(str(in_words(error, name, action))) from error
    client.close()
    return answer


def _topic(name: str) -> str:
    from google.cloud.pubsub_v1 import PublisherClient

    client = PublisherClient()
    try:
        found = granted(
            lambda: (
                client.test_iam_permissions(
                    request={"resource": name, "permissions": PUBLISHING}, timeout=10, retry=None
                ).permissions
            ),
            lambda: client.get_topic(topic=name, timeout=10, retry=None),
            PUBLISHING,
            name,
        )
    finally:
        client.transport.close()
    return f"there{found}"
