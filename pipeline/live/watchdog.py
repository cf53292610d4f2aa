"""Watchdog: whether a live run still gets on. Prism says nothing when its worker is gone."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Look(NamedTuple):
    """What is known at one moment; all but `at` only grow.

    Args:
        at: Seconds of a clock that only moves forward.
        published: Messages in the stream.
        read: Messages that the job has read.
        commits: Commits of the lake.
        waiting: Whether the job waits for a service that refuses its writes. It says so itself,
            and gives up when its own patience is over.
    """

    at: float
    published: int
    read: int
    commits: int
    waiting: bool = False


@dataclass
class Watchdog:
    """Says so when there is work and none is done.

    Args:
        patience: Seconds for which that may be so.

    Example:
        >>> dog = Watchdog(patience=10.0)
        >>> dog.trouble(Look(0.0, published=5, read=5, commits=1))
        >>> dog.trouble(Look(60.0, published=5, read=5, commits=1))  # nothing to do
        >>> dog.trouble(Look(61.0, published=9, read=5, commits=1))
        >>> dog.trouble(Look(72.0, published=9, read=5, commits=1))
        'nothing was read for 12 s, with 4 messages unread'
    """

    patience: float
    _read: tuple[float, int] | None = field(default=None, init=False)
    _commits: tuple[float, int, int] | None = field(default=None, init=False)

    def trouble(self, look: Look) -> str | None:
        """What stands still, in words; None while all is well."""
        if look.waiting:
            self._read = self._commits = None
            return None
        return self._reading(look) or self._committing(look)

    def _reading(self, look: Look) -> str | None:
        if self._read is None or look.read > self._read[1] or look.read >= look.published:
            self._read = (look.at, look.read)
        since = look.at - self._read[0]
        if since <= self.patience:
            return None
        unread = look.published - look.read
        return f"nothing was read for {since:.0f} s, with {unread:,} messages unread"

    def _committing(self, look: Look) -> str | None:
        known = self._commits
        # What was read since the last commit waits for the next one; nothing read, nothing due.
        if known is None or look.commits > known[1] or look.read == known[2]:
            known = self._commits = (look.at, look.commits, look.read)
        since = look.at - known[0]
        if since <= self.patience:
            return None
        waiting = look.read - known[2]
        return f"the lake had no commit for {since:.0f} s, with {waiting:,} messages read meanwhile"
