"""Patience: a write that the lake refuses waits until the lake takes it, or for long enough."""

import time
from collections.abc import Callable
from typing import TypeVar

from apache_beam.metrics import Metrics

from eddyline.io.backoff import waits
from eddyline.io.lake.refusal import ADVICE, TROUBLES, Refusal, refusal_of, words_of
from eddyline.io.outages import OUTAGES, Outages

T = TypeVar("T")

PATIENCE = 600.0
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0

REFUSED = Metrics.counter("lake", "writes_refused")


class LakeUnavailable(RuntimeError):
    """The lake refused a write for longer than the patience; a repeated bundle may find it."""


class Patience:
    """How long a write outlasts a lake that refuses it.

    A bundle that fails is repeated by Flink and Dataflow from what they keep, and ends a job on
    Prism with all that it has learned. So a write waits for a store that is full, denies or is
    away, inside the bundle. What does not pass by itself is raised at once.

    Args:
        seconds: Seconds for which one write is refused until it fails; 0 to raise what it met.
        sleep: Waits some seconds.
        outages: Where what waits is told, and what time it is.
    """

    def __init__(
        self,
        seconds: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        outages: Outages = OUTAGES,
    ) -> None:
        self.seconds, self.sleep, self._outages = seconds, sleep, outages

    def outlast(self, lake: str, what: str, attempt: Callable[[], T]) -> T:
        """Attempt until it succeeds; give what it gave.

        Waits double from 0.2 s to 5 s; the last attempt is made at the end of the patience.

        Args:
            lake: Where, for words.
            what: What is tried, for words, such as `write readings`.
            attempt: One try. It must stand being repeated after one that failed half-way, or that
                failed and has an effect all the same.

        Raises:
            LakeUnavailable: Refused for longer than the patience.
        """
        service, since = f"the lake {lake}", None
        backoff, clock = waits(FIRST_WAIT, LONGEST_WAIT), self._outages.clock
        with self._outages.waiting_for(service) as refusing:
            while True:
                try:
                    return attempt()
                except TROUBLES as error:
                    refusal = refusal_of(error)
                    if refusal is None or not self.seconds:
                        raise
                    now = clock()
                    since = now if since is None else since
                    if now >= since + self.seconds:
                        words = _what_to_do(service, what, refusal, now - since)
                        raise LakeUnavailable(f"{words} {words_of(error)}") from error
                    refusing(refusal.words)
                REFUSED.inc()
                self.sleep(min(next(backoff), since + self.seconds - now))


def _what_to_do(service: str, what: str, refusal: Refusal, seconds: float) -> str:
    return (
        f"{service} refused to {what} for {seconds:.0f} s ({refusal.words}). "
        f"{ADVICE[refusal.cause]} An engine with checkpoints then goes on by itself; "
        "--lake-patience sets how long to wait."
    )
