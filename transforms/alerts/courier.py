"""Courier: sends in the background, so that no channel waits for another one's peer."""

from collections.abc import Callable, Sequence
from threading import Condition, Thread

from eddyline.schemas.alert import Alert, Sender
from eddyline.transforms.alerts.attempt import Attempt, attempt_each


class Courier:
    """One round of attempts a channel at a time, each in a thread of its own.

    Shared by all of a process's `Deliver`. What it knows dies with the process: the outbox counts
    such an attempt as lost and makes it again.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._change = Condition()
        self._running: dict[str, set[str]] = {}
        self._ended: dict[str, list[Attempt]] = {}

    def send(self, channel: str, alerts: Sequence[Alert], sender: Sender) -> None:
        """Begin a round; the channel must not be busy."""
        with self._change:
            if channel in self._running:
                raise ValueError(f"{channel} is busy")
            self._running[channel] = {alert.key for alert in alerts}
        name = f"alerts to {channel}"
        Thread(target=self._round, args=(channel, alerts, sender), name=name, daemon=True).start()

    def busy(self, channel: str) -> bool:
        """Whether a round of the channel goes on."""
        with self._change:
            return channel in self._running

    def running(self, channel: str) -> set[str]:
        """Keys of the round that goes on."""
        with self._change:
            return set(self._running.get(channel, ()))

    def wait(self, channel: str, seconds: float) -> bool:
        """Wait for the round's end, at most so long; True where it has ended."""
        with self._change:
            return self._change.wait_for(lambda: channel not in self._running, seconds)

    def collect(self, channel: str) -> list[Attempt]:
        """The attempts that have ended since the last call, each given once."""
        with self._change:
            return self._ended.pop(channel, [])

    def _round(self, channel: str, alerts: Sequence[Alert], sender: Sender) -> None:
        try:
            for attempt in attempt_each(alerts, sender, self._clock):
                with self._change:
                    self._ended.setdefault(channel, []).append(attempt)
        finally:
            with self._change:
                del self._running[channel]
                self._change.notify_all()
