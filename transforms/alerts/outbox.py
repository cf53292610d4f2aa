"""Outbox: one channel's alerts until each is delivered or given up, as a value."""

from enum import StrEnum
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from eddyline.schemas.alert import Failed, Incident
from eddyline.schemas.alert_channel import Limits

REMEMBERED = 1_000
"""Keys of settled alerts that are known again."""
CAPACITY = 2_000
"""Alerts that may wait in one channel: its state is written whole with each step."""
VERSION = b"\x01"
ALMOST = 0.01
"""Of a token: what may lack for rounding, lest a step comes too early for ever."""
LOST = 10.0
"""Seconds beyond its time after which an attempt of another worker counts as failed."""


class Outcome(StrEnum):
    """How an attempt ended, in the words of the record `delivery`."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    REFUSED = "refused"


class Settled(NamedTuple):
    """What became of an attempt.

    Args:
        incident: What was told, or was to be.
        attempt: Its number, from 1; 0 where none was made.
        outcome: What follows from it.
        status: The peer's own code, or the error's name.
        reason: Of a refusal the dead letter's reason, else empty.
        words: The error in words, or empty.
    """

    incident: Incident
    attempt: int
    outcome: Outcome
    status: str
    reason: str = ""
    words: str = ""


class Queued(msgspec.Struct, kw_only=True, array_like=True):
    """An alert that waits: since when, how often it was tried, and when it is due next.

    `trying_until` is 0 or the time until which an attempt that has begun may take.
    """

    incident: Incident
    since: float
    attempts: int = 0
    due: float = 0.0
    trying_until: float = 0.0


class Outbox(msgspec.Struct, kw_only=True, array_like=True):
    """The alerts of one channel; see `add`, `begin`, `settle`, `when`.

    Guarantee: each alert that was added is settled as delivered or refused exactly once, and the
    alerts of one incident are tried in their order, one at a time. A key that is waiting or was
    settled (the last 1,000) is not added again. Nothing is tried while the circuit breaker is open
    or the token bucket empty. All times are seconds since the epoch of a clock that is handed in.

    Waits grow exponentially with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog 2015); the jitter is of key and attempt, so a repeated bundle waits the same.

    Example:
        >>> from datetime import UTC, datetime
        >>> t = datetime(2026, 1, 2, tzinfo=UTC)
        >>> row = Incident(incident_id="a", revision=0, transition="opened", kind="event",
        ...     severity="error", event_time=t, opened_at=t, last_seen=t, count=1, duration=0.0,
        ...     explanation="too warm")
        >>> outbox, limits = Outbox(), Limits()
        >>> outbox.add(row, 100.0), outbox.add(row, 100.0)
        (True, False)
        >>> [queued.incident.key for queued in outbox.begin(limits, 100.0)]
        ['a:0:opened']
        >>> outbox.settle("a:0:opened", Failed("busy", status="503"), limits, 101.0).outcome
        <Outcome.RETRIED: 'retried'>
        >>> 101.0 < outbox.when(limits) < 102.0
        True
    """

    queue: list[Queued] = []
    settled: list[int] = []
    tokens: float = 0.0
    refilled: float = 0.0
    failures: int = 0
    closed_until: float = 0.0

    def add(self, incident: Incident, now: float) -> bool:
        """Queue an alert; False where its key is known already."""
        key = incident.key
        if _digest(key) in self.settled or any(q.incident.key == key for q in self.queue):
            return False
        self.queue.append(Queued(incident=incident, since=now))
        return True

    def full(self) -> bool:
        """Whether no more fits; what does not is refused by `overflow`."""
        return len(self.queue) >= CAPACITY

    def overflow(self, incident: Incident) -> Settled:
        """Refuse an alert that does not fit."""
        words = f"{CAPACITY} alerts of this channel are waiting"
        return Settled(incident, 0, Outcome.REFUSED, "full", "alert_unsent", words)

    def begin(self, limits: Limits, now: float) -> list[Queued]:
        """The alerts to try now, counted as one attempt more; settle each.

        Gives none while the breaker is open, one while it is half open, else as many as there are
        tokens.
        """
        self._refill(limits, now)
        room = int(self.tokens + ALMOST) if now >= self.closed_until else 0
        if self.failures >= limits.failures:
            room = min(room, 0 if self._trying(now) else 1)
        begun: list[Queued] = []
        for queued in self._heads():
            if len(begun) < room and queued.due <= now and not queued.trying_until:
                queued.attempts += 1
                queued.trying_until = now
                begun.append(queued)
        for place, queued in enumerate(begun, 1):
            # They are tried one after the other.
            queued.trying_until = now + place * limits.timeout + LOST
        self.tokens -= len(begun)
        return begun

    def settle(self, key: str, failed: Failed | None, limits: Limits, now: float) -> Settled:
        """Take the end of an attempt: None where it was delivered, with status `ok`.

        Raises:
            KeyError: No such alert is being tried.
        """
        queued = self._find(key)
        # A repeated bundle has not begun what it finds ended.
        queued.attempts, queued.trying_until = max(queued.attempts, 1), 0.0
        if failed is None:
            self.failures, self.closed_until = 0, 0.0
            return self._done(queued, Outcome.DELIVERED, "ok")
        if failed.permanent:
            # The peer answered, so the channel is well; it is this alert that it does not take.
            self.failures, self.closed_until = 0, 0.0
            return self._done(queued, Outcome.REFUSED, failed.status, "alert_refused", str(failed))
        self.failures += 1
        asked = min(failed.retry_after or 0.0, limits.longest_wait)
        if self.failures >= limits.failures:
            asked = max(asked, limits.pause)
        if failed.retry_after is not None or self.failures >= limits.failures:
            self.closed_until = max(self.closed_until, now + asked)
        queued.due = now + max(wait_before(key, queued.attempts, limits), asked)
        if queued.attempts >= limits.attempts or queued.due > queued.since + limits.age:
            return self._done(queued, Outcome.REFUSED, failed.status, "alert_expired", str(failed))
        return Settled(
            queued.incident, queued.attempts, Outcome.RETRIED, failed.status, "", str(failed)
        )

    def untried(self, key: str) -> None:
        """Take back a begun attempt that was not made, because one before it failed."""
        queued = self._find(key)
        queued.attempts, queued.trying_until = max(queued.attempts - 1, 0), 0.0
        self.tokens += 1.0

    def lost(self, now: float) -> list[str]:
        """Keys of attempts that should have ended long ago: their worker is gone."""
        return [q.incident.key for q in self.queue if 0.0 < q.trying_until <= now]

    def when(self, limits: Limits) -> float | None:
        """When `begin`, `expire` or `lost` may next give something; None where nothing is left."""
        trying = [q.trying_until for q in self.queue if q.trying_until]
        waiting = [q.due for q in self._heads() if not q.trying_until]
        times = trying + [q.since + limits.age for q in self.queue if not q.trying_until]
        half_open = self.failures >= limits.failures and trying
        if waiting and not half_open:
            full_at = self.refilled + max(1.0 - self.tokens, 0.0) / limits.rate
            times.append(max(min(waiting), self.closed_until, full_at))
        return min(times, default=None)

    def expire(self, limits: Limits, now: float) -> list[Settled]:
        """Refuse what has waited too long, tried or not."""
        words = f"not delivered within {limits.age:g} s"
        return [
            self._done(queued, Outcome.REFUSED, "expired", "alert_expired", words)
            for queued in list(self.queue)
            if not queued.trying_until and now >= queued.since + limits.age
        ]

    def give_up(self, reason: str, words: str) -> list[Settled]:
        """Refuse all that waits, such as where the job ends or the channel is gone."""
        return [
            self._done(queued, Outcome.REFUSED, reason.removeprefix("alert_"), reason, words)
            for queued in list(self.queue)
        ]

    def _heads(self) -> list[Queued]:
        """The oldest alert of each incident, in the order they came."""
        seen: set[str] = set()
        heads: list[Queued] = []
        for queued in self.queue:
            if queued.incident.incident_id not in seen:
                seen.add(queued.incident.incident_id)
                heads.append(queued)
        return heads

    def _trying(self, now: float) -> bool:
        return any(q.trying_until > now for q in self.queue)

    def _refill(self, limits: Limits, now: float) -> None:
        earned = max(now - self.refilled, 0.0) * limits.rate
        self.tokens, self.refilled = min(self.tokens + earned, float(limits.burst)), now

    def _find(self, key: str) -> Queued:
        for queued in self.queue:
            if queued.incident.key == key:
                return queued
        raise KeyError(key)

    def _done(
        self, queued: Queued, outcome: Outcome, status: str, reason: str = "", words: str = ""
    ) -> Settled:
        self.queue.remove(queued)
        self.settled.append(_digest(queued.incident.key))
        del self.settled[:-REMEMBERED]
        return Settled(queued.incident, queued.attempts, outcome, status, reason, words)


def wait_before(key: str, attempts: int, limits: Limits) -> float:
    """Seconds to wait after so many attempts: a share of the bound that is fixed by key and number.

    Example:
        >>> waits = [wait_before("a:0:opened", n, Limits()) for n in (1, 2, 3, 20)]
        >>> [wait <= bound for wait, bound in zip(waits, (1.0, 2.0, 4.0, 300.0))]
        [True, True, True, True]
        >>> waits == [wait_before("a:0:opened", n, Limits()) for n in (1, 2, 3, 20)]
        True
    """
    bound = min(limits.longest_wait, limits.first_wait * 2.0 ** min(attempts - 1, 60))
    return bound * (_digest(f"{key}#{attempts}") + 1) / 2.0**64


def encode_outbox(outbox: Outbox) -> bytes:
    """The outbox as one state value.

    Example:
        >>> decode_outbox(encode_outbox(Outbox(failures=3))).failures
        3
    """
    return VERSION + msgspec.msgpack.encode(outbox)


def decode_outbox(encoded: bytes) -> Outbox:
    """The outbox that `encode_outbox` was given.

    Raises:
        ValueError: The bytes are of no version that is known.
    """
    if encoded[:1] != VERSION:
        raise ValueError(f"an outbox of version {encoded[:1]!r}; this is {VERSION!r}")
    return msgspec.msgpack.decode(encoded[1:], type=Outbox)


def _digest(key: str) -> int:
    return xxh3_64_intdigest(key.encode())
