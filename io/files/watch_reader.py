"""Read the files that appear under a pattern, one after the other."""

import time
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, Protocol

import pyarrow as pa
from apache_beam.metrics import Metrics
from msgspec.structs import replace

from eddyline.io.files.contents import contents
from eddyline.io.files.kinds import Kinds
from eddyline.io.files.listing import Listed, decode_marks, encode_marks, list_files
from eddyline.io.files.troubles import in_words
from eddyline.io.sources.columns import Columns
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock, Polled, Unreadable
from eddyline.schemas.unreadable import mark

NAMESPACE = "source"
DONE = ""
"""The partition that tells which files were read; each other one is a file that is being read."""
LONGEST_ROUND = 0.3  # s
ROUND_BYTES = 16 * 2**20
TRIES = 8  # of a file: a minute and a half
LONGEST_WAIT = 30.0  # s between two tries
MARGIN = 2_000_000  # µs; stores round to seconds


class Watched(Protocol):
    """What to read and how; see `WatchedFiles`."""

    @property
    def pattern(self) -> str: ...  # noqa: D102 as in `WatchedFiles`
    @property
    def readers(self) -> int: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def every(self) -> float: ...  # noqa: D102
    @property
    def settle(self) -> float: ...  # noqa: D102
    @property
    def kinds(self) -> Kinds: ...  # noqa: D102


class Place(NamedTuple):
    """Where reading stands in a file: its version, and the messages that were taken."""

    file: Listed
    messages: int

    @property
    def text(self) -> str:
        """As a partition has it, which has the path as its name."""
        return f"{self.file.changed}:{self.file.size}:{self.messages}"


class FileReader:
    """Reads one lane's files.

    Args:
        watched: What and how.
        clock: Seconds of a clock that only moves forward.
        now: Seconds since the epoch.
    """

    def __init__(
        self, watched: Watched, clock: Clock, now: Callable[[], float] = time.time
    ) -> None:
        self.watched = watched
        self.clock = clock
        self.now = now
        self._listed: list[Listed] = []
        self._looked_at = 0.0  # s since the epoch
        self._look_again = float("-inf")
        self._done: tuple[str, frozenset[int]] = ("", frozenset())
        self._place: Place | None = None  # where the open file stands
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._number = 0  # of the last row
        self._failures = 0
        self._tries = 0  # of the file

    def poll(self, progress: Progress) -> Polled:
        """Read on in the file that is being read, or in the next one."""
        done = self._decoded(progress.partitions[DONE].at)
        try:
            if self.clock() >= self._look_again:
                done = self._look(progress.lane, done)
        except Unreadable as error:
            if not error.passes:
                raise
            self._tries = 0  # it is not the file alone
            return self._later(progress)
        place = _place_of(progress) or self._next(done)
        if place is None:
            self._failures = 0
            wait = max(0.0, self._look_again - self.clock())
            return Polled(self._progress(progress, done, None), wait=wait, behind=[0])
        try:
            batches, ended = self._read(place)
        except Exception as error:
            self._close()
            self._look_again = float("-inf")  # is it the file alone?
            self._tries += 1
            if self._tries < TRIES:
                return self._later(progress)
            batches, ended = self._given_up(place, error), True
        self._failures = self._tries = 0
        messages = sum(batch.num_rows for batch in batches)
        place = Place(place.file, place.messages + messages)
        self._place = place
        if ended:
            self._close()
            done |= {place.file.mark}
        behind = round(max(0.0, self.now() * 1_000 - place.file.changed / 1_000))
        read = self._progress(progress, done, None if ended else place)
        return Polled(read.read({}, messages), batches, behind=[behind])

    def close(self) -> None:
        """Close the file that is open."""
        self._close()

    def _look(self, lane: int, done: frozenset[int]) -> frozenset[int]:
        """List the files; gives what was read of those that are still there."""
        at = self.now()
        found = list_files(self.watched.pattern)
        self._listed = [file for file in found if file.of_lane(lane, self.watched.readers)]
        self._looked_at = at
        self._look_again = self.clock() + self.watched.every
        # Of nothing at all one cannot know whether it is empty or not mounted.
        return done & {file.mark for file in found} if found else done

    def _next(self, done: frozenset[int]) -> Place | None:
        waiting = (file for file in self._listed if file.mark not in done)
        return next((Place(file, 0) for file in waiting if self._settled(file)), None)

    def _settled(self, file: Listed) -> bool:
        age = self._looked_at - file.changed / 1_000_000
        return "://" in file.path or age >= self.watched.settle or age < -1

    def _read(self, place: Place) -> tuple[list[pa.RecordBatch], bool]:
        """Some batches, and whether the file ended with them."""
        if self._place != place:
            self._close()
            watched = self.watched
            whole = contents(place.file.path, place.file.changed, watched.rows, watched.kinds)
            self._batches = _behind(whole, place.messages)
        batches: list[pa.RecordBatch] = []
        leave, size = self.clock() + LONGEST_ROUND, 0
        while self.clock() < leave and size < ROUND_BYTES:
            batch = next(self._batches, None)
            if batch is None:
                return batches, True
            batches.append(batch)
            size += batch.nbytes
            self._number = int(batch.column("position")[-1].as_py())
        return batches, False

    def _given_up(self, place: Place, error: Exception) -> list[pa.RecordBatch]:
        why = mark("damaged_file", str(in_words(error, place.file.path)))
        number = self._number + 1 if place.messages else 1
        columns = Columns()
        columns.add(b"", place.file.path, f"{number:012d}", place.file.changed, why)
        return list(columns.batches(1))

    def _progress(self, progress: Progress, done: frozenset[int], place: Place | None) -> Progress:
        unread = (file for file in self._listed if file.mark not in done)
        looked_at = round(self._looked_at * 1_000_000) - MARGIN
        seen = min((file.changed for file in unread), default=looked_at)
        seen = min(seen, looked_at)
        partitions = {DONE: Partition(self._encoded(done), seen)}
        if place is not None:
            partitions[place.file.path] = Partition(place.text, place.file.changed)
        return replace(progress, partitions=partitions)

    def _later(self, progress: Progress) -> Polled:
        Metrics.counter(NAMESPACE, "retries").inc()
        self._failures += 1
        return Polled(progress, wait=min(LONGEST_WAIT, 0.5 * 2**self._failures))

    def _close(self) -> None:
        if isinstance(self._batches, Generator):
            self._batches.close()
        self._batches, self._place = iter(()), None

    def _decoded(self, text: str) -> frozenset[int]:
        if self._done[0] != text:
            self._done = text, frozenset(decode_marks(text))
        return self._done[1]

    def _encoded(self, done: frozenset[int]) -> str:
        if self._done[1] != done:
            self._done = encode_marks(done), done
        return self._done[0]


def _place_of(progress: Progress) -> Place | None:
    """Where it stands in the file that is being read, if one is."""
    for path, partition in progress.partitions.items():
        if path != DONE:
            changed, size, messages = map(int, partition.at.split(":"))
            return Place(Listed(changed, path, size), messages)
    return None


def _behind(batches: Iterator[pa.RecordBatch], messages: int) -> Iterator[pa.RecordBatch]:
    """The batches without so many messages at the beginning."""
    for batch in batches:
        if messages < batch.num_rows:
            yield batch.slice(messages)
        messages = max(0, messages - batch.num_rows)
