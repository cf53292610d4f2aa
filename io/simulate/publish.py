"""Publish a simulated fleet as if it were live: each message when its time comes."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from eddyline.io.simulate.simulation import Simulation
from eddyline.io.simulate.targets.target import Outgoing, Target, Unsendable

TICK = 0.05  # s between two looks at what is due
PATIENCE = 120.0  # s for which a target may take nothing
LONGEST_WAIT = 5.0  # s between two tries


@dataclass(frozen=True)
class Published:
    """What was published so far.

    Args:
        messages: Taken by the target.
        retried: Times that a message was refused and sent again.
        behind: Seconds by which the last message that was due is late.
    """

    messages: int = 0
    retried: int = 0
    behind: float = 0.0


def live(simulation: Simulation, rate: float, now: datetime) -> Simulation:
    """The simulation with its event times from now on, and so many messages a second.

    The devices stay as many; their cadence is what gives the rate.

    Raises:
        ValueError: The rate is not more than 0, or the hours are too few for a fault.

    Example:
        >>> from datetime import UTC
        >>> now = datetime(2026, 3, 1, tzinfo=UTC)
        >>> live(Simulation(devices=300), rate=100.0, now=now).cadence
        3.0
    """
    if not rate > 0:
        raise ValueError(f"rate must be more than 0 messages a second, not {rate}")
    cadence = simulation.devices / rate
    jitter = min(simulation.jitter, 0.4 * cadence)
    return replace(simulation, start=now, cadence=cadence, jitter=jitter)


def publish(
    messages: Iterable[tuple[int, bytes]],
    target: Target,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Callable[[Published], None] = lambda _: None,
    *,
    paced: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> Published:
    """Send each message when its arrival time has come, counted from the first one.

    Guarantee: every message is taken by the target at least once before this returns, in order but
    for those that a target refuses out of the middle of a request; or it raises. A target that is
    slower than the pace makes messages late, and loses none.

    Args:
        messages: Arrival time in µs, never falling, and payload.
        target: Where to.
        clock: Seconds, as `time.monotonic`.
        sleep: As `time.sleep`.
        tell: Called with what was published so far after each request.
        paced: False sends them as fast as the target takes them.
        stopped: Whether to end early.

    Raises:
        Unsendable: The target refuses for good, or takes nothing for two minutes.
    """
    pace = _Pace(clock, sleep, paced)
    done = Published()
    due: list[Outgoing] = []
    for arrival_time, payload in messages:
        if due and (len(due) == target.most or pace.left(arrival_time) > 0):
            done = _send(due, target, pace, done)
            tell(done)
            due = []
        pace.wait_for(arrival_time)
        if stopped():
            break
        due.append(Outgoing(key_of(payload), payload))
    if due:
        done = _send(due, target, pace, done)
        tell(done)
    return done


def key_of(payload: bytes) -> str:
    """The device's id, of a gathered message that of its first reading; else a digest.

    Example:
        >>> key_of(b'[{"device_id": "room-7"}, {"device_id": "room-8"}]')
        'room-7'
        >>> key_of(b"not json")
        '103f1bf4489c2321'
    """
    try:
        parsed: Any = json.loads(payload)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    device = parsed.get("device_id") if isinstance(parsed, dict) else None
    if isinstance(device, str) and 0 < len(device) <= 256 and device.isprintable():
        return device
    return blake2b(payload, digest_size=8).hexdigest()


class _Pace:
    """Holds the arrival times against the clock; what is due within a tick goes together."""

    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], None], paced: bool
    ) -> None:
        self.clock, self.sleep, self.paced = clock, sleep, paced
        self.begun = clock()
        self.first: int | None = None
        self.behind = 0.0

    def left(self, arrival_time: int) -> float:
        """Seconds until it is due; negative where it is late."""
        if self.first is None:
            self.first = arrival_time
        passed = (arrival_time - self.first) / 1_000_000
        return self.begun + passed - self.clock() if self.paced else 0.0

    def wait_for(self, arrival_time: int) -> None:
        """Sleep until it is due."""
        left = self.left(arrival_time)
        self.behind = max(0.0, -left)
        if left > 0:
            self.sleep(max(left, TICK))


def _send(due: list[Outgoing], target: Target, pace: _Pace, done: Published) -> Published:
    refused, tries, since = list(due), 0, pace.clock()
    retried = done.retried
    while True:
        before = len(refused)
        refused = target.send(refused)
        if not refused:
            break
        retried += len(refused)
        tries, since = (tries + 1, since) if len(refused) == before else (1, pace.clock())
        if pace.clock() - since > PATIENCE:
            raise Unsendable(f"the target took no message for {PATIENCE:.0f} seconds")
        pace.sleep(min(LONGEST_WAIT, 0.1 * 2**tries))
    return Published(done.messages + len(due), retried, pace.behind)
