"""SQS as a source."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES, in_words
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock
from eddyline.io.sqs.reader import SqsReader


@dataclass(frozen=True)
class Sqs:
    """A queue, received from and deleted from.

    Guarantee: a message is deleted only after the engine has committed the bundle that it came in;
    until then it is kept from other receivers, at most `longest` seconds. If the bundle was lost
    it comes again: at once where the worker lives on, else when it is no longer hidden. A queue
    has no order, and an old message may come after the watermark.

    Args:
        queue: Its name or URL.
        readers: So many receive at the same time; each about 1,000 messages a second.
        rows: Most messages a batch; a poll receives that many where they are there.
        visibility: Seconds for which a received message is hidden; made longer as needed.
        longest: Seconds after which a message that nobody committed is let go.

    Raises:
        ValueError: A value makes no sense.
    """

    acknowledges: ClassVar[bool] = True

    queue: str
    readers: int = 1
    rows: int = 500
    visibility: int = 60
    longest: float = 900.0

    def __post_init__(self) -> None:
        if not self.queue:
            raise ValueError("sqs: name the queue, such as sqs:telemetry")
        if self.readers < 1 or self.rows < 1 or not 2 <= self.visibility <= 43_200:
            raise ValueError(
                "sqs: readers and rows are at least 1, visibility is 2 to 43,200 seconds"
            )

    @property
    def name(self) -> str:
        """Such as `sqs:telemetry`."""
        return f"sqs:{self.queue.rpartition('/')[2]}"

    def start(self) -> Progress:
        """One place for each receiver; nobody has received yet."""
        self.url(self.client())
        return Progress({f"{reader:04d}": Partition("") for reader in range(self.readers)})

    def lanes(self, progress: Progress) -> Iterable[Progress]:
        """The receivers."""
        return [progress.only([name], lane) for lane, name in enumerate(progress.partitions)]

    def open(self, clock: Clock) -> SqsReader:
        """Open it."""
        client = self.client()
        return SqsReader(self, client, self.url(client), clock)

    def check(self) -> None:
        """Find the queue and ask what it holds; receiving would hide messages."""
        client = self.client()
        url = self.url(client)
        try:
            client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        except TROUBLES as error:
            raise in_words(error, self.name, "sqs:GetQueueAttributes") from error

    def client(self) -> Any:
        """A client of the service.

        Raises:
            Unreadable: No region is configured.
        """
        try:
            return make_client("sqs")
        except TROUBLES as error:
            raise in_words(error, self.name, "sqs:GetQueueUrl") from error

    def url(self, client: Any) -> str:
        """The queue's URL.

        Raises:
            Unreadable: There is no such queue, or it cannot be looked up.
        """
        if "/" in self.queue:
            return self.queue
        try:
            return client.get_queue_url(QueueName=self.queue)["QueueUrl"]
        except TROUBLES as error:
            raise in_words(error, self.name, "sqs:GetQueueUrl") from error
