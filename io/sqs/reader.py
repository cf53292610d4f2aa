"""Receive from a queue, keep what was received hidden, delete what was committed."""

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple, Protocol

from apache_beam.metrics import Metrics
from msgspec.structs import replace

from eddyline.io.aws.client import service_time
from eddyline.io.aws.troubles import TROUBLES, in_words, passes
from eddyline.io.sources.columns import Columns
from eddyline.io.sources.progress import Progress
from eddyline.io.sources.source import Clock, Polled
from eddyline.io.sqs.body import ENCODING, payload_of

NAMESPACE = "source"
TEN = 10  # the service's largest receive, delete or change
LONGEST_ROUND = 0.5  # s; a request of ten takes some ms
LONG_POLL = 1  # s
AGAIN = 0.1  # s after nothing came
LONGEST_WAIT = 10.0  # s between two tries
MARGIN = 1_000_000  # µs
MEMORY = 10.0  # s for which the watermark stays behind the oldest message received


class Queue(Protocol):
    """What to receive and how; see `Sqs`."""

    @property
    def name(self) -> str: ...  # noqa: D102 as in `Sqs`
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def visibility(self) -> int: ...  # noqa: D102
    @property
    def longest(self) -> float: ...  # noqa: D102


class Hidden(NamedTuple):
    """A received message that is hidden from others; times by the clock."""

    since: float
    until: float


class SqsReader:
    """Receives from one queue.

    Args:
        queue: What and how.
        client: Of boto3.
        url: The queue's.
        clock: Seconds of a clock that only moves forward.
    """

    def __init__(self, queue: Queue, client: Any, url: str, clock: Clock) -> None:
        self.queue = queue
        self.client = client
        self.url = url
        self.clock = clock
        self._hidden: dict[str, Hidden] = {}  # by receipt handle
        self._lock = Lock()
        self._oldest: deque[tuple[float, int]] = deque()  # when received, earliest sent
        self._failures = 0

    def poll(self, progress: Progress) -> Polled:
        """Receive what is there, up to a batch."""
        received: list[dict[str, Any]] = []
        at_end, now = False, None
        try:
            self._keep_hidden()
            leave = self.clock() + LONGEST_ROUND
            received, now = self._receive(LONG_POLL)
            at_end, more = not received, list(received)
            while len(more) == TEN and len(received) < self.queue.rows and self.clock() < leave:
                more, _ = self._receive(0)
                received += more
        except TROUBLES as error:
            if not passes(error):
                raise in_words(error, self.queue.name, "sqs:ReceiveMessage") from error
            Metrics.counter(NAMESPACE, "retries").inc()
            if not received:
                self._failures += 1
                return Polled(progress, wait=min(LONGEST_WAIT, AGAIN * 2**self._failures))
        self._failures = 0
        columns = Columns()
        for message in received:
            self._gather(message, columns)
        handles = [message["ReceiptHandle"] for message in received]
        seen = self._seen(received, now if at_end else None)
        partitions = {
            name: replace(partition, seen=max(partition.seen, seen or partition.seen))
            for name, partition in progress.partitions.items()
        }
        return Polled(
            progress.read(partitions, len(columns)),
            list(columns.batches(self.queue.rows)),
            AGAIN if at_end else 0.0,
            acknowledge=(lambda: self._delete(handles)) if handles else None,
        )

    def close(self) -> None:
        """Let go of connections; committed messages are deleted all the same."""

    def _receive(self, wait: int) -> tuple[list[dict[str, Any]], int | None]:
        at = self.clock()
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=TEN,
            WaitTimeSeconds=wait,
            VisibilityTimeout=self.queue.visibility,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        with self._lock:
            for message in messages:
                self._hidden[message["ReceiptHandle"]] = Hidden(at, at + self.queue.visibility)
        return messages, service_time(answer)

    def _gather(self, message: dict[str, Any], columns: Columns) -> None:
        sent = {
            name: value["StringValue"]
            for name, value in message.get("MessageAttributes", {}).items()
            if "StringValue" in value
        }
        payload = payload_of(message["Body"], sent)
        sent.pop(ENCODING, None)
        columns.add(payload, self.queue.name, message["MessageId"], _sent_time(message), sent)

    def _seen(self, received: Sequence[dict[str, Any]], now: int | None) -> int | None:
        """Nothing unread was sent before it, as far as one can know of a queue."""
        at = self.clock()
        while self._oldest and self._oldest[0][0] < at - MEMORY:
            self._oldest.popleft()
        if received:
            self._oldest.append((at, min(map(_sent_time, received))))
        if now is not None:
            return now - MARGIN
        return min((sent for _, sent in self._oldest), default=None)

    def _keep_hidden(self) -> None:
        """Hide again what is not committed yet and would soon be shown to others."""
        now = self.clock()
        with self._lock:
            soon = [h for h, m in self._hidden.items() if m.until - now < self.queue.visibility / 2]
            lost = [h for h in soon if now - self._hidden[h].since > self.queue.longest]
            for handle in lost:
                del self._hidden[handle]
            again = [handle for handle in soon if handle in self._hidden]
            for handle in again:
                since = self._hidden[handle].since
                self._hidden[handle] = Hidden(since, now + self.queue.visibility)
        for ten in _tens(again):
            self.client.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": f"{n}", "ReceiptHandle": h, "VisibilityTimeout": self.queue.visibility}
                    for n, h in enumerate(ten)
                ],
            )

    def _delete(self, handles: Sequence[str]) -> None:
        with self._lock:
            for handle in handles:
                self._hidden.pop(handle, None)
        for ten in _tens(handles):
            self.client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": f"{n}", "ReceiptHandle": h} for n, h in enumerate(ten)],
            )


def _sent_time(message: dict[str, Any]) -> int:
    return int(message["Attributes"]["SentTimestamp"]) * 1000


def _tens(handles: Sequence[str]) -> Iterable[Sequence[str]]:
    return (handles[first : first + TEN] for first in range(0, len(handles), TEN))
