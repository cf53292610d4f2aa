"""Publish to a Kinesis stream."""

from collections.abc import Sequence

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES, in_words, passes
from eddyline.io.simulate.targets.target import Outgoing, Unsendable

ACTION = "kinesis:PutRecords"
MAX_BYTES = 4 * 2**20  # of a request; the service allows 5 MiB with the keys


class KinesisTarget:
    """Puts records; the partition key is the message's key.

    Args:
        stream: Its name or ARN.
    """

    most = 500

    def __init__(self, stream: str) -> None:
        self.name = f"kinesis:{stream}"
        self.which = {"StreamARN" if stream.startswith("arn:") else "StreamName": stream}
        try:
            self.client = make_client("kinesis")
        except TROUBLES as error:
            raise Unsendable(str(in_words(error, self.name, ACTION))) from error

    def send(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Put them; the service may take a part of a request."""
        fits = _fitting(messages)
        now, later = messages[:fits], list(messages[fits:])
        records = [{"Data": m.payload, "PartitionKey": m.key[:256] or "-"} for m in now]
        try:
            answer = self.client.put_records(**self.which, Records=records)
        except TROUBLES as error:
            if passes(error):
                return list(messages)
            raise Unsendable(str(in_words(error, self.name, ACTION))) from error
        refused = [
            message
            for message, result in zip(now, answer["Records"], strict=True)
            if "ErrorCode" in result
        ]
        return refused + later

    def close(self) -> None:
        """Nothing is held back."""
        self.client.close()


def _fitting(messages: Sequence[Outgoing]) -> int:
    size = 0
    for number, message in enumerate(messages):
        size += len(message.payload) + 256
        if size > MAX_BYTES and number:
            return number
    return len(messages)
