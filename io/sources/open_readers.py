"""Readers stay open from one bundle to the next."""

from collections import defaultdict
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from threading import Lock

from eddyline.io.sources.source import Reader


class OpenReaders:
    """Readers that are lent to one bundle at a time.

    An engine calls a `DoFn` for a second at a time, and each time it may be another instance. A
    reader that opened its connections and iterators again each time would spend what the service
    allows on that.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[Hashable, list[Reader]] = defaultdict(list)

    @contextmanager
    def lend(self, key: Hashable, make: Callable[[], Reader]) -> Generator[Reader]:
        """A reader for this key that nobody else has; a failed one is closed, not kept."""
        with self._lock:
            idle = self._idle[key]
            reader = idle.pop() if idle else None
        reader = reader or make()
        try:
            yield reader
        except BaseException:
            reader.close()
            raise
        with self._lock:
            self._idle[key].append(reader)


READERS = OpenReaders()
