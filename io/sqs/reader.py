"""Receive from a queue, keep what was received hidden, delete what was committed."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from apache_beam.metrics import Metrics
from msgspec.structs import replace

from eddyline.io.aws.client import service_time
from eddyline.io.aws.troubles import TROUBLES, code_of, in_words, passes
from eddyline.io.sources.columns import Columns
from eddyline.io.sources.held import Held
from eddyline.io.sources.outage import Outage
from eddyline.io.sources.progress import Progress
from eddyline.io.sources.source import Clock, Polled
from eddyline.io.sources.turns import Turns
from eddyline.io.sqs.body import ENCODING, payload_of

NAMESPACE = "source"
TEN = 10  # the service's largest receive, delete or change
LONGEST_ROUND = 0.5  # s; a request of ten takes some ms
LONG_POLL = 1  # s
AGAIN = 0.1  # s after nothing came
LONGEST_WAIT = 10.0  # s between two tries
MARGIN = 1_000_000  # µs
MEMORY = 10.0  # s for which the watermark stays behind the oldest message received
MANY = 20_000  # with 120,000 hidden by all its readers, a queue looks empty to them
RETURN = 2.0  # s until what was given back is there again


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


class SqsReader:
    """Receives from one queue.

    Where a progress says what this reader did not leave, an engine has gone back to a checkpoint:
    what was received since is shown again at once. Another reader's messages come back when they
    are no longer hidden, and so long an empty queue does not move the watermark.

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
        self._held = Held()  # by receipt handle
        self._oldest: deque[tuple[float, int]] = deque()  # when received, earliest sent
        self._trusted = float("-inf")  # when to believe that an empty queue is empty
        self._turns = Turns()
        self._failures = 0
        self._outage = Outage(queue.name)

    def poll(self, progress: Progress) -> Polled:
        """Receive what is there, up to a batch."""
        received: list[dict[str, Any]] = []
        empty, now = False, None
        try:
            self._go_on_from(progress)
            self._keep_hidden()
            leave = self.clock() + LONGEST_ROUND
            received, now = self._receive(LONG_POLL)
            empty, more = not received, list(received)
            while len(more) == TEN and len(received) < self.queue.rows and self.clock() < leave:
                more, _ = self._receive(0)
                received += more
        except TROUBLES as error:
            self._wait_out(error)
            if not received:
                self._failures += 1
                return Polled(progress, wait=min(LONGEST_WAIT, AGAIN * 2**self._failures))
        else:
            self._outage.over(self.clock())
        self._failures = 0
        columns = Columns()
        for message in received:
            self._gather(message, columns)
        handles, number = [message["ReceiptHandle"] for message in received], self._turns.number
        return Polled(
            self._read(progress, received, now if empty and len(self._held) < MANY else None),
            list(columns.batches(self.queue.rows)),
            AGAIN if empty else 0.0,
            acknowledge=(lambda: self._committed(handles, number)) if handles else None,
        )

    def keep(self, progress: Progress) -> bool:
        """Keep hidden what was received; whether anything was that is not deleted."""
        try:
            self._go_on_from(progress)
            self._keep_hidden()
        except TROUBLES as error:
            self._wait_out(error)
        return len(self._held) > 0

    def close(self) -> None:
        """Show again what nobody committed; what is committed later is deleted all the same."""
        self._show_again(self._held.uncommitted())

    def _wait_out(self, error: Exception) -> None:
        """Take a trouble that may pass.

        Raises:
            Unreadable: It does not pass.
        """
        if not passes(error):
            raise in_words(error, self.queue.name, "sqs:ReceiveMessage") from error
        Metrics.counter(NAMESPACE, "retries").inc()
        self._outage.goes_on(self.clock(), str(error), code_of(error))

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
        handles = [message["ReceiptHandle"] for message in messages]
        self._held.take(handles, self._turns.number, at, at + self.queue.visibility)
        return messages, service_time(answer, self.clock() - at)

    def _gather(self, message: dict[str, Any], columns: Columns) -> None:
        sent = {
            name: value["StringValue"]
            for name, value in message.get("MessageAttributes", {}).items()
            if "StringValue" in value
        }
        payload = payload_of(message["Body"], sent)
        sent.pop(ENCODING, None)
        columns.add(payload, self.queue.name, message["MessageId"], _sent_time(message), sent)

    def _read(
        self, progress: Progress, received: Sequence[dict[str, Any]], now: int | None
    ) -> Progress:
        seen = self._seen(received, now)
        ((name, partition),) = progress.partitions.items()
        place = self._turns.done(partition.at)
        read = replace(partition, at=place, seen=max(partition.seen, seen or partition.seen))
        return progress.read({name: read}, len(received))

    def _seen(self, received: Sequence[dict[str, Any]], now: int | None) -> int | None:
        """Nothing unread was sent before it, as far as one can know of a queue."""
        at = self.clock()
        while self._oldest and self._oldest[0][0] < at - MEMORY:
            self._oldest.popleft()
        if received:
            self._oldest.append((at, min(map(_sent_time, received))))
        if now is not None and at >= self._trusted:
            return now - MARGIN
        return min((sent for _, sent in self._oldest), default=None)

    def _go_on_from(self, progress: Progress) -> None:
        """See whether the engine goes on from where this reader stands."""
        (partition,) = progress.partitions.values()
        held = self._turns.went_back(partition.at)
        if held is None:
            return
        others = self._turns.has_others(partition.at)
        self._trusted = self.clock() + RETURN + (self.queue.visibility if others else 0)
        self._show_again(self._held.lose(held))

    def _keep_hidden(self) -> None:
        """Hide again what would soon be shown to others, and delete what could not be so far."""
        now = self.clock()
        committed = self._held.committed()
        soon = self._held.ending(now, self.queue.visibility / 2, self.queue.longest)
        self._hide(soon, self.queue.visibility)
        self._held.extend(soon, now + self.queue.visibility)
        self._delete(committed)

    def _show_again(self, handles: Sequence[str]) -> None:
        try:
            self._hide(handles, 0)
        except TROUBLES:  # then they are shown again in their time
            Metrics.counter(NAMESPACE, "retries").inc()

    def _hide(self, handles: Sequence[str], seconds: int) -> None:
        for ten in _tens(handles):
            self.client.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": f"{n}", "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                    for n, handle in enumerate(ten)
                ],
            )

    def _committed(self, handles: Sequence[str], poll: int) -> None:
        """Delete; what fails in a way that passes is tried again by a later poll.

        What is not held any more is left: it was given back, and comes again.
        """
        try:
            self._delete(self._held.commit(handles, poll))
        except TROUBLES as error:
            if not passes(error):
                raise in_words(error, self.queue.name, "sqs:DeleteMessage") from error
            Metrics.counter(NAMESPACE, "retries").inc()

    def _delete(self, handles: Sequence[str]) -> None:
        for ten in _tens(handles):
            answer = self.client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[{"Id": f"{n}", "ReceiptHandle": h} for n, h in enumerate(ten)],
            )
            # One that failed by its own fault is gone; one by the service's is tried again.
            again = {int(one["Id"]) for one in answer.get("Failed", []) if not one["SenderFault"]}
            self._held.forget(handle for n, handle in enumerate(ten) if n not in again)


def _sent_time(message: dict[str, Any]) -> int:
    return int(message["Attributes"]["SentTimestamp"]) * 1000


def _tens(handles: Sequence[str]) -> Iterable[Sequence[str]]:
    return (handles[first : first + TEN] for first in range(0, len(handles), TEN))
