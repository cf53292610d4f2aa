"""Watched files as a source: what appears under a pattern is read, each file once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from eddyline.io.files.kinds import Kinds, kinds_of
from eddyline.io.files.listing import encode_marks, list_files
from eddyline.io.files.watch_reader import DONE, FileReader
from eddyline.io.sources.begin import Begin
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock
from eddyline.schemas.record import load_contract


def _room() -> Kinds:
    return kinds_of(load_contract())


@dataclass(frozen=True)
class WatchedFiles:
    """The files that match a pattern, now and later, local, on S3 or on Google Cloud Storage.

    Guarantee: every version of a file (name, size, time of its last change) is read once, the one
    that was changed first before the others; see `contents` for what its messages are. A file that
    is damaged, or cannot be read for a minute and a half while files can be listed, ends in a
    message that is marked as unreadable. What is remembered are 11 bytes for each file that
    matches: keep them below 100,000 by letting old ones be deleted.

    Args:
        pattern: Path or glob.
        begin: Earliest for all files; latest for those that are changed after the start; a time
            for those that were changed since then.
        readers: So many read at the same time, each other files.
        rows: Most messages a batch.
        every: Seconds between two looks at what matches.
        settle: Seconds for which a local file must not have changed: it may be being written. On
            S3 and GCS a file appears when it is whole.
        kinds: What the columns of CSV and Parquet hold.

    Raises:
        ValueError: A value makes no sense.
    """

    acknowledges: ClassVar[bool] = False

    pattern: str
    begin: Begin = field(default_factory=Begin)
    readers: int = 1
    rows: int = 500
    every: float = 5.0
    settle: float = 2.0
    kinds: Kinds = field(default_factory=_room)

    def __post_init__(self) -> None:
        if not self.pattern:
            raise ValueError("watch: name the files, such as watch:in/*.jsonl")
        if self.readers < 1 or self.rows < 1 or not self.every > 0 or not self.settle >= 0:
            raise ValueError(
                "watch: readers and rows are at least 1, every is more than 0 seconds and settle "
                "not less than 0"
            )

    @property
    def name(self) -> str:
        """Such as `watch:in/*.jsonl`."""
        return f"watch:{self.pattern}"

    def start(self) -> Progress:
        """Which files count as read, and nothing else."""
        files = list_files(self.pattern)
        if self.begin.kind == "earliest":
            files = []
        if self.begin.kind == "time":
            second = self.begin.time // 1_000_000 * 1_000_000  # as stores round
            files = [file for file in files if file.changed < second]
        return Progress({DONE: Partition(encode_marks(file.mark for file in files))})

    def lanes(self, progress: Progress) -> Iterable[Progress]:
        """Each reader has the files whose names fall to it."""
        return [progress.only([DONE], lane) for lane in range(self.readers)]

    def open(self, clock: Clock) -> FileReader:
        """Open it."""
        return FileReader(self, clock)

    def check(self) -> None:
        """List the files."""
        list_files(self.pattern)
