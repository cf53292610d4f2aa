"""Outages: the services that this process waits for, told once and not by every write."""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

LOG = logging.getLogger(__name__)
SAY_AFTER, SAY_AGAIN = 2.0, 30.0  # s
WORDS = 200


class Waiting(NamedTuple):
    """An outage that goes on.

    Args:
        service: Who refuses, such as `the lake s3://bucket/lake`.
        why: In the service's words.
        since: When it refused the first write, by a clock that only grows.
        writes: How many writes wait.
    """

    service: str
    why: str
    since: float
    writes: int


class Outages:
    """The services that refuse this process's writes at the moment.

    A job writes many tables by many threads, and an outage meets them all: it is logged when it has
    lasted 2 s, then every 30 s, and when no write waits any longer. A live run's watchdog reads it:
    a job that waits for a service is not stuck.

    Args:
        clock: Seconds that only grow.

    Example:
        >>> outages = Outages(clock=lambda: 10.0)
        >>> with outages.waiting_for("the lake") as refusing:
        ...     refusing("AccessDenied")
        ...     outages.read()
        (Waiting(service='the lake', why='AccessDenied', since=10.0, writes=1),)
        >>> outages.read()
        ()
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = Lock()
        self._waiting: dict[str, Waiting] = {}
        self._said: dict[str, float] = {}

    @contextmanager
    def waiting_for(self, service: str) -> Generator[Callable[[str], None]]:
        """A write that may have to wait; gives what is to be told each time it is refused.

        The wait begins with the first refusal, and ends with the block.
        """
        refusals = 0

        def refusing(why: str) -> None:
            nonlocal refusals
            refusals += 1
            self._refused(service, why[:WORDS], first=refusals == 1)

        try:
            yield refusing
        except BaseException:
            if refusals:
                self._one_less(service, failed=True)
            raise
        if refusals:
            self._one_less(service, failed=False)

    def read(self) -> tuple[Waiting, ...]:
        """What goes on now, the longest first."""
        with self._lock:
            return tuple(sorted(self._waiting.values(), key=lambda waiting: waiting.since))

    def _refused(self, service: str, why: str, *, first: bool) -> None:
        now = self.clock()
        with self._lock:
            known = self._waiting.get(service, Waiting(service, why, now, 0))
            waiting = known._replace(why=why, writes=known.writes + first)
            self._waiting[service] = waiting
            last = self._said.get(service)
            if now >= (waiting.since + SAY_AFTER if last is None else last + SAY_AGAIN):
                self._said[service] = now
                text = "%s refuses (%s), for %.0f s now; writes that wait: %d"
                LOG.warning(text, service, why, now - waiting.since, waiting.writes)

    def _one_less(self, service: str, *, failed: bool) -> None:
        now = self.clock()
        with self._lock:
            waiting = self._waiting[service]
            if waiting.writes > 1:
                self._waiting[service] = waiting._replace(writes=waiting.writes - 1)
                return
            del self._waiting[service]
            if self._said.pop(service, None) is not None and not failed:
                text = "%s refused (%s) for %.0f s; going on"
                LOG.warning(text, service, waiting.why, now - waiting.since)


OUTAGES = Outages()
