"""Acknowledging with the second call: on Flink, where one call for a bundle proves nothing.

Why two calls prove it stands with `eddyline.io.lake.confirmation`, which does the same for files.
"""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from eddyline.io.sources.progress import Progress
from eddyline.io.sources.source import Polled, Reader

Call = Callable[[], None]


class SecondCall:
    """A reader whose messages are acknowledged once every later restore includes them.

    What the engine's call for a poll's bundle names is only noted. It is acknowledged with the
    call for a later poll of this reader whose bundle began after that note. Where the engine goes
    back to a checkpoint, or the reader is closed in between, nothing is acknowledged by it.

    Args:
        reader: Whose messages.

    Example:
        >>> class Queue:
        ...     def poll(self, progress):
        ...         return Polled(progress, acknowledge=lambda: print("acknowledged"))
        >>> reader = SecondCall(Queue())
        >>> reader.poll(Progress()).acknowledge()
        >>> reader.poll(Progress()).acknowledge()
        acknowledged
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._noted: list[Call] = []
        self._acknowledged = 0  # of all that was ever noted
        self._settled = True
        self._lock = Lock()  # an engine calls in a thread of its own

    def poll(self, progress: Progress) -> Polled:
        """Poll the reader."""
        polled = self._reader.poll(progress)
        self._settled = False
        return replace(polled, acknowledge=self._call(polled.acknowledge))

    def settle(self) -> Call | None:
        """What to register with a bundle after the last poll; None once all is acknowledged."""
        return None if self._settled else self._call(self._settle)

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def _settle(self) -> None:
        self._settled = True

    def _call(self, acknowledge: Call | None) -> Call:
        with self._lock:
            durable = self._acknowledged + len(self._noted)

        def call() -> None:
            with self._lock:
                count = max(0, durable - self._acknowledged)
                due, self._noted = self._noted[:count], self._noted[count:]
                self._acknowledged += count
                if acknowledge is not None:
                    self._noted.append(acknowledge)
            for one in due:
                one()

        return call
