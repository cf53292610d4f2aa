"""What a source is: a value that can be shipped, and the reader that it opens on a worker."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import pyarrow as pa

from eddyline.io.sources.progress import Progress

Clock = Callable[[], float]  # seconds, only forward, as `time.monotonic`


class Unreadable(OSError):
    """The source cannot be read as things are; the words say what to do about it.

    Args:
        words: What to do.
        passes: Whether it may pass by itself.
    """

    def __init__(self, words: str, *, passes: bool = False) -> None:
        super().__init__(words)
        self.passes = passes


@dataclass(frozen=True)
class Polled:
    """What one poll gave.

    Args:
        progress: How far the stream is read with it.
        batches: Batches of messages, each partition's in its order.
        wait: Seconds until it makes sense to poll again; 0 where more is at hand.
        behind: How far each partition that was polled is behind its end, in milliseconds, as far
            as the source knows.
        acknowledge: To be called when the engine has committed the messages; None where the
            source keeps them anyway.
    """

    progress: Progress
    batches: list[pa.RecordBatch] = field(default_factory=list[pa.RecordBatch])
    wait: float = 0.0
    behind: list[int] = field(default_factory=list[int])
    acknowledge: Callable[[], None] | None = None


class Reader(Protocol):
    """An open source on a worker; used by one thread at a time."""

    def poll(self, progress: Progress) -> Polled:
        """Read on from there: one round over the active partitions, in at most a few seconds.

        It remembers nothing that `progress` does not say, but for what saves time (connections,
        iterators, when a partition may be asked again). Troubles that pass (throttling, no
        connection) are no errors but a `wait`.

        Raises:
            Unreadable: The stream, the permission or the credentials are missing.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class HoldingReader(Reader, Protocol):
    """A reader that holds its messages, kept from others, until they are acknowledged."""

    def keep(self, progress: Progress) -> bool:
        """Go on holding them without reading more; whether there are any.

        What the engine has gone back behind is given back, what could not be taken out of the
        queue is tried again.

        Raises:
            Unreadable: As for `poll`.
        """
        ...


class Source(Protocol):
    """A stream of messages: a frozen value without any connection or secret.

    Attributes:
        acknowledges: Whether its `Polled` have an `acknowledge`.
        name: Such as `kinesis:telemetry`; what its messages' `source` begins with.
    """

    acknowledges: ClassVar[bool]

    @property
    def name(self) -> str:
        """Such as `kinesis:telemetry`."""
        ...

    def start(self) -> Progress:
        """Where reading begins, fixed: a restart later finds the same place.

        Raises:
            Unreadable: As for `Reader.poll`.
        """
        ...

    def lanes(self, progress: Progress) -> Iterable[Progress]:
        """The parts that are read independently of each other, at the same time."""
        ...

    def open(self, clock: Clock) -> Reader:
        """Open it on a worker."""
        ...

    def check(self) -> None:
        """Try what a reader does, once.

        Raises:
            Unreadable: With what to do about it.
        """
        ...
