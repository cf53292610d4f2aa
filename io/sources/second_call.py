"""Acknowledging with the second call: on Flink, where one call for a bundle proves nothing.

Why two calls prove it stands with `eddyline.io.lake.confirmation`, which does the same for files.
"""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from eddyline.io.sources.progress import Progress
from eddyline.io.sources.source import HoldingReader, Polled

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

    def __init__(self, reader: HoldingReader) -> None:
        self._reader = reader
        self._noted: list[Call] = []
        self._acknowledged = 0  # of all that was ever noted
        self._lock = Lock()  # an engine calls in a thread of its own

    def poll(self, progress: Progress) -> Polled:
        """Poll the reader."""
        polled = self._reader.poll(progress)
        return replace(polled, acknowledge=self.call(polled.acknowledge))

    def keep(self, progress: Progress) -> bool:
        """Keep what the reader holds; whether it holds anything."""
        return self._reader.keep(progress)

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def call(self, acknowledge: Call | None = None) -> Call:
        """What to register with a bundle that is at work, with what it is to acknowledge."""
        with self._lock:
            durable = self._acknowledged + len(self._noted)

        def call() -> None:
            with self._lock:
                count = max(0, durable - self._acknowledged)
                due, self._noted = self._noted[:count], self._noted[count:]
                self._acknowledged += count
                if acknowledge is not None:
                    self._noted.append(acknowledge)
            failed: list[Exception] = []
            for one in due:
                try:
                    one()
                except Exception as error:  # the others are due all the same
                    failed.append(error)
            if failed:
                raise ExceptionGroup("not acknowledged", failed)

        return call
