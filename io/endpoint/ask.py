"""Ask an endpoint for scores: in portions, at a pace, again where that may help."""

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from eddyline.io.endpoint.body import Form, body_of, instances_of, scores_of
from eddyline.io.endpoint.failed import ScoringFailed
from eddyline.io.endpoint.pace import Pace
from eddyline.schemas.scoring import Answer, Failure

LOG = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 0.25, 20.0
"""Seconds: before the second try up to the first one, doubled from try to try up to the other."""
LONGEST_REST = 300.0
"""Seconds for which an endpoint that asks for more is left alone."""
SPLITS = 24
"""How often a batch may be halved to find the rows that the endpoint refuses."""


class Transport(Protocol):
    """One request and its answer."""

    def send(self, body: bytes) -> bytes:
        """Send once; give the answer's body.

        Raises:
            ScoringFailed: With the reason.
        """
        ...


class Limits(Protocol):
    """How an endpoint may be asked; see `settings.py`."""

    @property
    def max_rows(self) -> int: ...  # noqa: D102
    @property
    def tries(self) -> int: ...  # noqa: D102
    @property
    def patience(self) -> float: ...  # noqa: D102
    @property
    def rate(self) -> float: ...  # noqa: D102
    @property
    def rest(self) -> float: ...  # noqa: D102
    @property
    def instances(self) -> Form: ...  # noqa: D102
    @property
    def also(self) -> tuple[str, ...]: ...  # noqa: D102


class Asking:
    """A `Scorer` over a transport.

    Guarantee: each reading has a score or a failure, whatever the endpoint does; a request takes at
    most `patience` seconds and one timeout. A request that may pass is tried again after a random
    wait that doubles (full jitter: Brooker, Exponential Backoff and Jitter, 2015), or after the
    time that the endpoint asks for. An endpoint that failed in all tries is left alone for `rest`
    seconds: what comes meanwhile fails at once, so that a dead endpoint does not stop the stream.
    With a rest of 0 each request has all its tries, as a bounded job will want it.
    Where it refuses a request for its content, halves are tried, so that one reading that it cannot
    take costs itself only.

    Args:
        transport: What sends.
        channels: Names, in the order of the schema.
        limits: How the endpoint may be asked.
        clock: Seconds that only grow.
        sleep: Waits so many seconds.
        jitter: A random number in [0, 1).
    """

    def __init__(
        self,
        transport: Transport,
        channels: Sequence[str],
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._transport, self._channels, self._limits = transport, tuple(channels), limits
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._pace = Pace(limits.rate, clock, sleep)
        self._lock = Lock()
        self._rests_until = -math.inf
        self._doubted = False

    def score(self, readings: pa.RecordBatch) -> Answer:
        """Score each reading."""
        limits = self._limits
        instances = instances_of(readings, self._channels, limits.instances, limits.also)
        answer = Answer(np.full(len(instances), np.nan), {})
        parts = [
            (start, min(start + limits.max_rows, len(instances)))
            for start in reversed(range(0, len(instances), limits.max_rows))
        ]
        splits = SPLITS
        while parts:
            start, end = parts.pop()
            try:
                scores = scores_of(self._ask(body_of(instances[start:end])), end - start)
            except ScoringFailed as failed:
                if failed.by_rows and end - start > 1 and splits:
                    splits -= 1
                    middle = (start + end) // 2
                    parts += [(middle, end), (start, middle)]
                    continue
                failure = Failure(failed.reason, str(failed)[:500])
                answer.failures.update((row, failure) for row in range(start, end))
                continue
            for row, score in enumerate(scores, start):
                if score is None:
                    answer.failures[row] = Failure("bad_score", "its score is no finite number")
                else:
                    answer.scores[row] = score
        return answer

    def _ask(self, body: bytes) -> bytes:
        """Send until there is an answer.

        Raises:
            ScoringFailed: There is none.
        """
        until = self._clock() + self._limits.patience
        with self._lock:
            if self._clock() < self._rests_until:
                raise ScoringFailed("endpoint_down", "not asked: it had just failed in all tries")
            tries = 1 if self._doubted else self._limits.tries
        for number in range(1, tries + 1):
            self._pace.wait()
            try:
                answered = self._transport.send(body)
            except ScoringFailed as failed:
                if not failed.again:
                    self._believe()
                    raise
                wait = failed.retry_after
                if wait is None:
                    longest = min(FIRST_WAIT * 2 ** (number - 1), LONGEST_WAIT)
                    wait = self._jitter() * longest
                if number == tries or self._clock() + wait > until:
                    self._leave_alone(failed, failed.retry_after or 0.0)
                    raise
                self._sleep(wait)
            else:
                self._believe()
                return answered
        raise AssertionError("a request without a try")

    def _believe(self) -> None:
        with self._lock:
            self._rests_until, self._doubted = -math.inf, False

    def _leave_alone(self, failed: ScoringFailed, asked: float) -> None:
        if self._limits.rest == 0:
            return
        rest = max(self._limits.rest, min(asked, LONGEST_REST))
        with self._lock:
            self._rests_until, self._doubted = self._clock() + rest, True
        LOG.warning("the scoring endpoint is left alone for %.0f s: %s", rest, failed)

    def __reduce__(self) -> Any:
        raise TypeError("a connection stays in its process")
