"""Publish to an SQS queue."""

from collections.abc import Sequence

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES, in_words, passes
from eddyline.io.simulate.targets.target import Outgoing, Unsendable
from eddyline.io.sqs.body import body_of

ACTION = "sqs:SendMessage"


class SqsTarget:
    """Sends messages; what SQS cannot carry as text goes as base64, and says so.

    Args:
        queue: Its name or URL.
    """

    most = 10

    def __init__(self, queue: str) -> None:
        self.name = f"sqs:{queue}"
        try:
            self.client = make_client("sqs")
            self.url = (
                queue if "/" in queue else self.client.get_queue_url(QueueName=queue)["QueueUrl"]
            )
        except TROUBLES as error:
            raise Unsendable(str(in_words(error, self.name, "sqs:GetQueueUrl"))) from error

    def send(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Send them."""
        entries: list[dict[str, object]] = []
        for number, message in enumerate(messages):
            body, sent = body_of(message.payload)
            attributes = {k: {"DataType": "String", "StringValue": v} for k, v in sent.items()}
            entries.append(
                {"Id": f"{number}", "MessageBody": body, "MessageAttributes": attributes}
            )
        try:
            answer = self.client.send_message_batch(QueueUrl=self.url, Entries=entries)
        except TROUBLES as error:
            if passes(error):
                return list(messages)
            raise Unsendable(str(in_words(error, self.name, ACTION))) from error
        return [messages[int(failed["Id"])] for failed in answer.get("Failed", [])]

    def close(self) -> None:
        """Nothing is held back."""
        self.client.close()
