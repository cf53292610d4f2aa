"""Commit: numbers written files in state, adds them to their table once a number is durable."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import apache_beam as beam
from apache_beam.coders import BytesCoder, RowCoder, registry
from apache_beam.metrics import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow

from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.pending import Numbered, Pending
from eddyline.io.lake.tables import Target

Durability = Literal["bundle", "checkpoint"]


class CommittedFile(NamedTuple):
    """A file that is part of its table now.

    Attributes:
        table: The name it was written under (`raw` for messages).
        number: Its number in this job and table.
        path: Relative to the table's directory.
        rows: Rows, or messages for `raw`.
        size: In bytes.
    """

    table: str
    number: int
    path: str
    rows: int
    size: int


registry.register_coder(CommittedFile, RowCoder)

# A number is confirmed by a callback of the runner, which may reach another instance of the DoFn
# than the one that gave it and than the one whose timer fires next: a worker keeps a pool of
# instances, one for each bundle in progress. So what is known to be durable belongs to the process.
_CONFIRMED: dict[tuple[str, str, str], int] = {}
_process = ""


def _begin_process() -> None:
    global _process  # a fork is another process with a copy of this module
    _process = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
    _CONFIRMED.clear()


_begin_process()
os.register_at_fork(after_in_child=_begin_process)


class Commit(beam.DoFn):
    """Adds files to their tables: each exactly once, in order, by one Delta commit for many files.

    Keyed by table, in the global window, elements `(table, encoded DataFile)`. A file is numbered
    in the state and waits until its number is durable: here, until the bundle that numbered it was
    committed, which a timer in a later bundle tells. A failed or repeated bundle therefore never
    leaves a committed number that another file gets. At the end of input everything is committed.

    Args:
        lake: Where.
        targets: By name.
        streaming: Whether a processing-time timer commits while the job runs.
        commit_seconds: How long files gather for one commit.
        clock: Seconds since the epoch, for the timer.
    """

    PENDING = ReadModifyWriteStateSpec("commit_pending", BytesCoder())
    SOON = TimerSpec("commit_soon", TimeDomain.REAL_TIME)
    END = TimerSpec("commit_end", TimeDomain.WATERMARK)

    def __init__(
        self,
        lake: str,
        targets: Mapping[str, Target],
        streaming: bool,
        commit_seconds: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lake = lake
        self._targets = dict(targets)
        self._streaming = streaming
        self._commit_seconds = commit_seconds
        self._clock = clock
        self._rows = Metrics.counter("lake", "rows_committed")
        self._commits = Metrics.counter("lake", "commits")

    def setup(self) -> None:
        """Hold no table open yet: which ones come here is up to the runner."""
        self._logs: dict[str, DeltaLog] = {}

    def start_bundle(self) -> None:
        """Forget the numbers of the bundle before: they are durable now."""
        self._numbered_here: dict[str, int] = {}

    def process(
        self,
        element: tuple[str, bytes],
        pending: Any = beam.DoFn.StateParam(PENDING),
        soon: Any = beam.DoFn.TimerParam(SOON),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        """Number a file; nothing is committed in the bundle that numbers."""
        self._number(element, pending, soon, end)

    @on_timer(SOON)
    def on_soon(
        self,
        table: Any = beam.DoFn.KeyParam,
        pending: Any = beam.DoFn.StateParam(PENDING),
        soon: Any = beam.DoFn.TimerParam(SOON),
    ) -> Iterator[CommittedFile]:
        """Commit what is durable; come again while something is not."""
        value = Pending.decode(pending.read())
        value, committed = self._commit(table, value, value.due(self._durable(table, value)))
        pending.write(value.encode())
        if value.files:
            soon.set(self._clock() + self._commit_seconds)
        yield from committed

    @on_timer(END)
    def on_end(
        self,
        table: Any = beam.DoFn.KeyParam,
        pending: Any = beam.DoFn.StateParam(PENDING),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[CommittedFile]:
        """Commit the rest: no later bundle or checkpoint can be counted on."""
        value = Pending.decode(pending.read())
        value, committed = self._commit(table, value, value.due(self._durable_at_end(table, value)))
        pending.write(value.encode())
        if value.files:
            end.set(GlobalWindow().max_timestamp())
        yield from committed

    def _number(self, element: tuple[str, bytes], pending: Any, soon: Any, end: Any) -> Pending:
        table, file = element
        value = Pending.decode(pending.read())
        if value.job and table not in self._logs:
            self._log(table).check(value.job, value.next)
        if not value.files:
            # Never pushed on by later files, or a steady stream would never be committed.
            end.set(GlobalWindow().max_timestamp())
            if self._streaming:
                soon.set(self._clock() + self._commit_seconds)
        self._numbered_here.setdefault(table, value.next)
        value = value.number([file], _process)
        pending.write(value.encode())
        return value

    def _durable(self, table: str, value: Pending) -> Callable[[Numbered], bool]:
        first = self._numbered_here.get(table, value.next)
        return lambda entry: entry.number < first

    def _durable_at_end(self, table: str, value: Pending) -> Callable[[Numbered], bool]:
        # A batch engine may fire the timer in the bundle that numbered, and in no other. It repeats
        # a failed bundle with the same files, and Delta takes a path that is added twice as one.
        return self._durable(table, value) if self._streaming else lambda _: True

    def _commit(
        self, table: str, value: Pending, due: tuple[Numbered, ...]
    ) -> tuple[Pending, list[CommittedFile]]:
        if not due:
            return value, []
        log = self._log(table)
        log.check(value.job, value.next)
        if log.append(value.job, due):
            self._commits.inc()
        committed = [
            CommittedFile(table, entry.number, file.path, file.rows, file.size)
            for entry, file in ((entry, DataFile.decode(entry.file)) for entry in due)
        ]
        self._rows.inc(sum(file.rows for file in committed))
        return value.without(due[-1].number), committed

    def _log(self, table: str) -> DeltaLog:
        if table not in self._logs:
            self._logs[table] = DeltaLog(self._lake, self._targets[table].log)
        return self._logs[table]


class CommitOnCheckpoint(Commit):
    """`Commit` for Flink, where a bundle's state is durable only when a checkpoint holds it.

    The runner calls the bundle's finalizer when a checkpoint that holds the bundle is complete: all
    numbers in the state then are durable. A number of another process came back from a restore, so
    a checkpoint held it. That asks for what Flink's runner does: a table's key stays with one
    worker process between restores (no `load_balance_bundles`, no `environment_expiration_millis`).

    At the end of input everything is committed: a task that finishes has no later checkpoint.
    """

    def process(
        self,
        element: tuple[str, bytes],
        pending: Any = beam.DoFn.StateParam(Commit.PENDING),
        soon: Any = beam.DoFn.TimerParam(Commit.SOON),
        end: Any = beam.DoFn.TimerParam(Commit.END),
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
    ) -> None:
        """Number a file, and confirm its number when a checkpoint holds it."""
        value = self._number(element, pending, soon, end)
        finalizer.register(Confirm((self._lake, element[0], value.job), value.next - 1))

    def _durable(self, table: str, value: Pending) -> Callable[[Numbered], bool]:
        confirmed = _CONFIRMED.get((self._lake, table, value.job), 0)
        return lambda entry: entry.process != _process or entry.number <= confirmed

    def _durable_at_end(self, table: str, value: Pending) -> Callable[[Numbered], bool]:  # noqa: ARG002
        return lambda _: True


class Confirm(NamedTuple):
    """Tells the process that all numbers up to one are durable; called by the runner."""

    key: tuple[str, str, str]
    number: int

    def __call__(self) -> None:
        """Confirm; confirmations may come in any order."""
        _CONFIRMED[self.key] = max(self.number, _CONFIRMED.get(self.key, 0))
