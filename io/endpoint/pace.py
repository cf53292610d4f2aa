"""Pace: not more than so many requests a second."""

from collections.abc import Callable
from threading import Lock


class Pace:
    """Lets `rate` requests a second pass, evenly spaced; one that comes too early waits.

    Guarantee: of all threads together no two requests are closer than 1/rate. What was not used is
    not saved up.

    Args:
        rate: Requests a second.
        clock: Seconds that only grow.
        sleep: Waits so many seconds.

    Example:
        >>> waited = []
        >>> pace = Pace(4.0, clock=lambda: 10.0, sleep=waited.append)
        >>> for _ in range(3):
        ...     pace.wait()
        >>> waited
        [0.25, 0.5]
    """

    def __init__(
        self, rate: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._gap, self._clock, self._sleep = 1.0 / rate, clock, sleep
        self._lock = Lock()
        self._next = float("-inf")

    def wait(self) -> None:
        """Take the next free place, and wait for it."""
        with self._lock:
            now = self._clock()
            place = max(self._next, now)
            self._next = place + self._gap
        if place > now:
            self._sleep(place - now)
