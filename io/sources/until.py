"""When a stream that has no end is to end."""

from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from eddyline.io.sources.progress import Progress


@dataclass(frozen=True)
class Until:
    """End the source at any of these; then all windows close and the job ends well.

    Args:
        messages: Once at least so many were taken; 0 for never.
        arrival_time: Once everything that arrived before it was taken, µs since the epoch; 0 for
            never. What arrived with it may be taken as well.
        file: Once this file exists (local, s3://, gs://): how a live run is drained.

    Raises:
        ValueError: A number is negative.

    Example:
        >>> Until(messages=100).reached(Progress(messages=120))
        True
        >>> Until().reached(Progress(messages=120))
        False
    """

    messages: int = 0
    arrival_time: int = 0
    file: str = ""

    def __post_init__(self) -> None:
        for name in ("messages", "arrival_time"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")

    def reached(self, progress: Progress) -> bool:
        """Whether it is time to end."""
        return (
            0 < self.messages <= progress.messages
            or 0 < self.arrival_time <= progress.seen
            or (bool(self.file) and FileSystems.exists(self.file))
        )
