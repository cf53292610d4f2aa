"""Pull from a subscription, keep the leases of what was pulled, acknowledge what was committed."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from apache_beam.metrics import Metrics
from google.api_core.exceptions import (
    ClientError,
    DeadlineExceeded,
    Forbidden,
    NotFound,
    Unauthenticated,
)
from msgspec.structs import replace

from eddyline.io.pubsub.troubles import TROUBLES, in_words, passes
from eddyline.io.sources.columns import Columns
from eddyline.io.sources.held import Held
from eddyline.io.sources.outage import Outage
from eddyline.io.sources.progress import Progress
from eddyline.io.sources.source import Clock, Polled
from eddyline.io.sources.turns import Turns

NAMESPACE = "source"
PAGE = 1_000  # the service's largest pull; so many ack ids also stay below its 512 KiB
LONGEST_ROUND = 0.2  # s for which small pulls are gathered
LONG_PULL = 1.0  # s for which a pull waits for a message
SHORT_PULL = 0.25  # s; of a pull that is given up the service may have sent messages: not too short
TIMEOUT = 10.0  # s for every other request
AGAIN = 0.1  # s after nothing came
LONGEST_WAIT = 5.0  # s between two tries
MARGIN = 1_000_000  # µs
MEMORY = 10.0  # s for which the watermark stays behind the oldest message pulled
RETURN = 2.0  # s until what was given back is there again


class Subscription(Protocol):
    """What to pull and how; see `PubSub`."""

    @property
    def name(self) -> str: ...  # noqa: D102 as in `PubSub`
    @property
    def subscription(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def lease(self) -> int: ...  # noqa: D102
    @property
    def longest(self) -> float: ...  # noqa: D102
    @property
    def patience(self) -> float: ...  # noqa: D102


class PubSubReader:
    """Pulls from one subscription.

    Where a progress says what this reader did not leave, an engine has gone back to a checkpoint:
    what was pulled since is given back to the service at once. Another reader's messages come back
    when their leases have run out, and so long an empty subscription does not move the watermark.

    An outage is waited out, also that of a subscription which is gone while it is read.

    Args:
        subscription: What and how.
        client: A `SubscriberClient`.
        clock: Seconds of a clock that only moves forward.
        now: Seconds since the epoch; asked once. A machine's clock that is set later, or that is
            behind, has no effect; one that is ahead from the start makes an empty subscription's
            watermark be as much ahead.
    """

    def __init__(
        self,
        subscription: Subscription,
        client: Any,
        clock: Clock,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.subscription = subscription
        self.client = client
        self.clock = clock
        # The service's time less `clock`: a wall clock that is set meanwhile would close windows.
        self._ahead = now() - clock()
        self._turns = Turns()
        self._held = Held()  # by ack id
        self._oldest: deque[tuple[float, int]] = deque()  # when pulled, earliest published
        self._trusted = float("-inf")  # when to believe that an empty subscription is empty
        self._failures = 0
        self._outage = Outage(subscription.name)
        self._answered = False

    def poll(self, progress: Progress) -> Polled:
        """Pull what is there, up to a batch."""
        pulled: list[Any] = []
        now, number = None, self._turns.number
        try:
            self._go_on_from(progress)
            self._keep_leases()
            leave = self.clock() + LONGEST_ROUND
            asked = self.clock() + self._ahead
            pulled = more = self._pull(LONG_PULL)
            if not pulled and self._answers():
                now = asked
            while more and len(pulled) < self.subscription.rows and self.clock() < leave:
                more = self._pull(SHORT_PULL)
                pulled = pulled + more
        except TROUBLES as error:
            self._wait_out(error)
            if not pulled:
                self._failures += 1
                return Polled(progress, wait=min(LONGEST_WAIT, 0.1 * 2**self._failures))
        if pulled or now is not None:
            self._answered = True
            self._outage.over(self.clock())
        self._failures = 0
        columns = Columns()
        for received in pulled:
            self._gather(received.message, columns)
        ack_ids = [received.ack_id for received in pulled]
        return Polled(
            self._read(progress, pulled, now),
            list(columns.batches(self.subscription.rows)),
            0.0 if pulled else AGAIN,
            acknowledge=(lambda: self._committed(ack_ids, number)) if ack_ids else None,
        )

    def keep(self, progress: Progress) -> bool:
        """Keep the leases of what was pulled; whether anything was that is not acknowledged."""
        try:
            self._go_on_from(progress)
            self._keep_leases()
        except TROUBLES as error:
            self._wait_out(error)
        return len(self._held) > 0

    def close(self) -> None:
        """Give back what nobody committed; what is committed later is acknowledged all the same."""
        self._give_back(self._held.uncommitted())

    def _pull(self, wait: float) -> list[Any]:
        at = self.clock()
        wanted = {"subscription": self.subscription.subscription, "max_messages": PAGE}
        try:
            answer = self.client.pull(request=wanted, timeout=wait, retry=None)
        except DeadlineExceeded:
            return []
        # Its own classes instead of the client's wrappers: a tenth of the time.
        received = list(type(answer).pb(answer).received_messages)
        if not received:
            return []
        ack_ids = [one.ack_id for one in received]
        self._held.take(ack_ids, self._turns.number, at, at)
        try:
            self._extend(ack_ids)
        except TROUBLES as error:  # then the next poll does; meanwhile the service's own holds
            if not passes(error):
                raise
            Metrics.counter(NAMESPACE, "retries").inc()
        return received

    def _answers(self) -> bool:
        """Whether the service is there: a pull that waits in vain does not tell."""
        try:
            self.client.acknowledge(
                subscription=self.subscription.subscription,
                ack_ids=[],
                timeout=TIMEOUT,
                retry=None,
            )
        except (NotFound, Forbidden, Unauthenticated):
            raise
        except ClientError:  # no ids: the service refuses that, and so was reached
            return True
        return True

    def _gather(self, message: Any, columns: Columns) -> None:
        attributes = dict(message.attributes)
        if message.ordering_key:
            attributes.setdefault("ordering_key", message.ordering_key)
        source, position = self.subscription.name, message.message_id
        columns.add(message.data, source, position, _micros(message), attributes)

    def _read(self, progress: Progress, pulled: Sequence[Any], now: float | None) -> Progress:
        seen = self._seen(pulled, now)
        ((name, partition),) = progress.partitions.items()
        place = self._turns.done(partition.at)
        read = replace(partition, at=place, seen=max(partition.seen, seen or partition.seen))
        return progress.read({name: read}, len(pulled))

    def _seen(self, pulled: Sequence[Any], now: float | None) -> int | None:
        """Nothing unread was published before it, as far as one can know of a subscription."""
        at = self.clock()
        while self._oldest and self._oldest[0][0] < at - MEMORY:
            self._oldest.popleft()
        if pulled:
            published = [_micros(received.message) for received in pulled]
            self._oldest.append((at, min(published)))
            self._ahead = max(self._ahead, max(published) / 1_000_000 - at)
            return min(published for _, published in self._oldest)
        if now is None or at < self._trusted:
            return None
        self._oldest.clear()
        return round(now * 1_000_000) - MARGIN

    def _go_on_from(self, progress: Progress) -> None:
        """See whether the engine goes on from where this reader stands."""
        (partition,) = progress.partitions.values()
        held = self._turns.went_back(partition.at)
        if held is None:
            return
        others = self._turns.has_others(partition.at)
        self._trusted = self.clock() + RETURN + (self.subscription.lease if others else 0)
        self._give_back(self._held.lose(held))

    def _wait_out(self, error: Exception) -> None:
        """Take a trouble that may pass; so may that of a subscription that was there before.

        Raises:
            Unreadable: It does not pass, or has not for too long.
        """
        told = in_words(error, self.subscription.name)
        why = str(told).removeprefix(f"{self.subscription.name}: ")
        lasted = self._outage.goes_on(self.clock(), why, type(error).__name__)
        if isinstance(error, NotFound) and self._answered:
            if lasted > self.subscription.patience:
                raise told from error
            # One that takes its place knows nothing of what was pulled, and an emulator's gives the
            # same ack ids to other messages.
            self._held.clear()
        elif not passes(error):
            raise told from error
        Metrics.counter(NAMESPACE, "retries").inc()

    def _committed(self, ack_ids: Sequence[str], poll: int) -> None:
        try:
            self._acknowledge(self._held.commit(ack_ids, poll))
        except NotFound:  # a poll says what is to be said of that
            Metrics.counter(NAMESPACE, "retries").inc()
        except TROUBLES as error:
            raise in_words(error, self.subscription.name) from error

    def _keep_leases(self) -> None:
        """Extend the leases that end soon, and acknowledge what could not be so far."""
        half = self.subscription.lease / 2
        committed = self._held.committed()
        self._extend(self._held.ending(self.clock(), half, self.subscription.longest))
        self._acknowledge(committed)

    def _extend(self, ack_ids: Sequence[str]) -> None:
        until = self.clock() + self.subscription.lease
        self._modify(ack_ids, self.subscription.lease)
        self._held.extend(ack_ids, until)

    def _give_back(self, ack_ids: Sequence[str]) -> None:
        try:
            self._modify(ack_ids, 0)
        except TROUBLES:  # then their leases run out
            Metrics.counter(NAMESPACE, "retries").inc()

    def _modify(self, ack_ids: Sequence[str], seconds: int) -> None:
        for some in _pages(ack_ids):
            self.client.modify_ack_deadline(
                subscription=self.subscription.subscription,
                ack_ids=some,
                ack_deadline_seconds=seconds,
                timeout=TIMEOUT,
                retry=None,
            )

    def _acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledge; what fails in a way that passes is tried again by a later poll."""
        for some in _pages(ack_ids):
            try:
                self.client.acknowledge(
                    subscription=self.subscription.subscription,
                    ack_ids=some,
                    timeout=TIMEOUT,
                    retry=None,
                )
            except TROUBLES as error:
                if not passes(error):
                    raise
                Metrics.counter(NAMESPACE, "retries").inc()
                return
            self._held.forget(some)


def _micros(message: Any) -> int:
    return message.publish_time.seconds * 1_000_000 + message.publish_time.nanos // 1_000


def _pages(ack_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ack_ids[first : first + PAGE] for first in range(0, len(ack_ids), PAGE))
