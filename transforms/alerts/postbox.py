"""Postbox: one channel's outbox with what it is sent by, and the rows that come of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eddyline.schemas.alert import Alert, Failed, Incident, Sender
from eddyline.schemas.alert_channel import Limits
from eddyline.transforms.alerts.alert_message import Wording
from eddyline.transforms.alerts.attempt import Attempt, attempt_each
from eddyline.transforms.alerts.courier import Courier
from eddyline.transforms.alerts.delivery_rows import dead_letter, delivery
from eddyline.transforms.alerts.outbox import Outbox, Outcome, Queued, Settled

POLL = 0.25
"""Seconds until a round that goes on in the background is looked at again."""


@dataclass
class Told:
    """Rows that leave: of the records `delivery` and `dead_letter`."""

    deliveries: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dead_letters: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True)
class Route:
    """How a channel is told: its settings, what sends, and the words.

    `sender` is None where the policy has no such channel (any more).
    """

    limits: Limits
    sender: Sender | None
    wording: Wording


class Postbox:
    """One step of one channel; the two forms of `Notify` are both made of it.

    Guarantee: every incident that is put in leaves as one delivery `delivered`, or as one `refused`
    with its dead letter; before that as many `retried` as there were failures.

    Args:
        channel: Its name.
        outbox: Its state; changed in place.
        route: How it is told.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, channel: str, outbox: Outbox, route: Route, clock: Callable[[], float]
    ) -> None:
        self.channel, self.outbox, self.route = channel, outbox, route
        self.clock = clock
        self.told = Told()
        self._delivered = False

    def put(self, incidents: Iterable[Incident]) -> None:
        """Queue alerts; one that is known is not told again, one that does not fit is refused."""
        for incident in incidents:
            if self.outbox.full():
                self._tell(self.outbox.overflow(incident), None)
            else:
                self.outbox.add(incident, self.clock())

    def step_in_background(self, courier: Courier, patience: float) -> float | None:
        """Try what is due, waiting at most `patience` seconds for the peer.

        A round that takes longer goes on, and a later step takes what came of it.

        Returns:
            When to step again, in seconds since the epoch; None for not before the next alert.
        """
        limits, sender = self.route.limits, self.route.sender
        self._settle(courier.collect(self.channel))
        if not courier.busy(self.channel):
            for key in self.outbox.lost(self.clock()):
                self._lose(key)
        if sender is None:
            self.give_up("alert_unsent", "the policy has no such channel any more")
            return None
        until = self.clock() + patience
        while not courier.busy(self.channel):
            self._refuse(self.outbox.expire(limits, self.clock()))
            begun = self.outbox.begin(limits, self.clock())
            if not begun:
                break
            courier.send(self.channel, self._alerts(begun), sender)
            ended = courier.wait(self.channel, max(until - self.clock(), 0.0))
            self._settle(courier.collect(self.channel))
            if not ended:
                break
        return self._next(courier)

    def take(self, courier: Courier, patience: float) -> None:
        """Wait for the end of a round that goes on in the background and take what came of it."""
        courier.wait(self.channel, patience)
        self._settle(courier.collect(self.channel))

    def step(self) -> float | None:
        """Try what is due here and now.

        Returns:
            When to step again, in seconds since the epoch; None where nothing is left.
        """
        limits, sender = self.route.limits, self.route.sender
        for key in self.outbox.lost(float("inf")):
            self._lose(key)
        if sender is None:
            self.give_up("alert_unsent", "the policy has no such channel any more")
            return None
        self._refuse(self.outbox.expire(limits, self.clock()))
        begun = self.outbox.begin(limits, self.clock())
        self._settle(attempt_each(self._alerts(begun), sender, self.clock))
        return self.outbox.when(limits)

    def run(self, sleep: Callable[[float], None], patience: float) -> None:
        """Step until nothing is left, or nothing was delivered for `patience` seconds.

        What is left then is refused.
        """
        until = self.clock() + patience
        while (when := self.step()) is not None:
            now = self.clock()
            if self._delivered:
                until, self._delivered = now + patience, False
            if max(when, now) > until:
                break
            if when > now:
                sleep(when - now)
        self.give_up("alert_unsent", "the job ended before it could be delivered")

    def give_up(self, reason: str, words: str) -> None:
        """Refuse all that waits."""
        self._refuse(self.outbox.give_up(reason, words))

    def _alerts(self, begun: Sequence[Queued]) -> list[Alert]:
        wording = self.route.wording
        return [
            Alert(channel=self.channel, incident=q.incident, message=wording.message(q.incident))
            for q in begun
        ]

    def _settle(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            try:
                if not attempt.tried:
                    self.outbox.untried(attempt.key)
                    continue
                settled = self.outbox.settle(
                    attempt.key, attempt.failed, self.route.limits, attempt.ended
                )
            except KeyError:
                # Of a bundle that failed after it was sent; its repetition sends it again.
                continue
            self._tell(settled, attempt)

    def _lose(self, key: str) -> None:
        now = self.clock()
        failed = Failed("the worker that tried it is gone", status="lost")
        self._settle([Attempt(key, failed, failed.status, now, now)])

    def _refuse(self, refused: Iterable[Settled]) -> None:
        for settled in refused:
            self._tell(settled, None)

    def _tell(self, settled: Settled, attempt: Attempt | None) -> None:
        self._delivered |= settled.outcome == Outcome.DELIVERED
        self.told.deliveries.append(delivery(self.channel, settled, attempt, self.clock()))
        if settled.outcome == Outcome.REFUSED:
            self.told.dead_letters.append(dead_letter(self.channel, settled))

    def _next(self, courier: Courier) -> float | None:
        if courier.busy(self.channel):
            return self.clock() + POLL
        return self.outbox.when(self.route.limits)
