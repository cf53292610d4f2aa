"""Counters: one Beam metric an outcome, and a tally of this process for the terminal."""

from collections import Counter
from threading import Lock

from apache_beam.metrics import Metrics

NAMESPACE = "eddyline"


class Tally:
    """What this process has counted so far.

    A bounded run on a laptop reports its Beam metrics only when it has ended; its progress view
    reads this. Nothing else may: a tally knows one process, and counts a retried bundle again.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, number: int) -> None:
        """Count `number` more of `name`."""
        with self._lock:
            self._counts[name] += number

    def read(self) -> dict[str, int]:
        """A copy of the counts."""
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        """Begin a run at zero."""
        with self._lock:
            self._counts.clear()


TALLY = Tally()


def count(name: str, number: int = 1) -> None:
    """Count an outcome: the Beam counter `eddyline:<name>` and this process's tally.

    Names are few and constant; never put a device's id into one.
    """
    if number:
        Metrics.counter(NAMESPACE, name).inc(number)
        TALLY.add(name, number)
