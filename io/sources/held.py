"""Held: the messages of a queue that are kept from others until their bundle is committed."""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock


@dataclass
class Hold:
    """A message that nobody else gets; times by the reader's clock.

    Args:
        poll: The poll that got it.
        since: When it got it.
        until: When others may get it.
        committed: Whether it is to be taken out of the queue.
    """

    poll: int
    since: float
    until: float
    committed: bool = False


class Held:
    """What a reader of a queue holds, by the handles that the service gave with the messages.

    Safe between threads: an engine tells of a commit in a thread of its own. A handle that is not
    held any more is passed over.

    Example:
        >>> held = Held()
        >>> held.take(["a", "b"], poll=3, since=0.0, until=60.0)
        >>> held.commit(["a", "c"], poll=3)
        ['a']
        >>> held.committed(), held.uncommitted(), held.lose(since=4)
        (['a'], ['b'], [])
        >>> held.ending(now=40.0, within=30.0, longest=900.0)
        ['b']
    """

    def __init__(self) -> None:
        self._holds: dict[str, Hold] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._holds)

    def take(self, handles: Iterable[str], poll: int, since: float, until: float) -> None:
        """Hold messages that were got."""
        with self._lock:
            self._holds |= {handle: Hold(poll, since, until) for handle in handles}

    def commit(self, handles: Iterable[str], poll: int) -> list[str]:
        """Mark what this poll got to be taken out of the queue.

        Gives those that are still held by it: what was forgotten meanwhile comes again, perhaps
        under the same handle.
        """
        with self._lock:
            held = [
                handle
                for handle in handles
                if handle in self._holds and self._holds[handle].poll == poll
            ]
            for handle in held:
                self._holds[handle].committed = True
            return held

    def forget(self, handles: Iterable[str]) -> None:
        """Hold them no longer."""
        with self._lock:
            for handle in handles:
                self._holds.pop(handle, None)

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._holds.clear()

    def committed(self) -> list[str]:
        """What is still to be taken out of the queue."""
        with self._lock:
            return [handle for handle, hold in self._holds.items() if hold.committed]

    def uncommitted(self) -> list[str]:
        """What nobody committed."""
        with self._lock:
            return [handle for handle, hold in self._holds.items() if not hold.committed]

    def lose(self, since: int) -> list[str]:
        """Hold no longer what this poll or a later one got and nobody committed; gives it."""
        with self._lock:
            lost = [
                handle
                for handle, hold in self._holds.items()
                if hold.poll >= since and not hold.committed
            ]
            for handle in lost:
                del self._holds[handle]
            return lost

    def ending(self, now: float, within: float, longest: float) -> list[str]:
        """What nobody committed and others would get soon; what was held for too long is let go.

        Args:
            now: By the clock.
            within: Seconds that are soon.
            longest: Seconds that are too long.
        """
        with self._lock:
            soon = {
                handle: hold
                for handle, hold in self._holds.items()
                if not hold.committed and hold.until - now < within
            }
            for handle, hold in list(soon.items()):
                if now - hold.since > longest:
                    del self._holds[handle], soon[handle]
            return list(soon)

    def extend(self, handles: Iterable[str], until: float) -> None:
        """They are kept from others for longer."""
        with self._lock:
            for handle in handles:
                if handle in self._holds:
                    self._holds[handle].until = until
