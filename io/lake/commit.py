"""Commit: numbers written files in state, adds them to their table once a number is durable."""

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import BytesCoder, RowCoder, registry
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Duration

from eddyline.io.durability import Durability
from eddyline.io.lake.confirmation import (
    CONFIRM,
    AskOnCheckpoint,
    Confirmation,
    Key,
    confirmation,
    durable_up_to,
    forget_from,
)
from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.open_logs import open_log
from eddyline.io.lake.patience import PATIENCE
from eddyline.io.lake.pending import Numbered, Pending
from eddyline.io.lake.tables import Target


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

_process = ""


def _begin_process() -> None:
    global _process  # a fork is another process with a copy of this module
    _process = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"


_begin_process()
os.register_at_fork(after_in_child=_begin_process)


class Commit(beam.DoFn):
    """Adds files to their tables: each exactly once, in order, by one Delta commit for many files.

    Keyed by table, in the global window, elements `(table, encoded DataFile)`. A file is numbered
    in the state and waits until its number is durable: here, until the bundle that numbered it was
    committed, which a timer in a later bundle tells. A failed or repeated bundle therefore never
    leaves a committed number that another file gets. At the end of input the rest is committed.

    Args:
        lake: Where.
        targets: By name.
        streaming: Whether a processing-time timer commits while the job runs.
        commit_seconds: How long files gather for one commit.
        clock: Seconds since the epoch, for the timer.
        patience: Seconds for which a commit outlasts a lake that refuses it.
    """

    PENDING = ReadModifyWriteStateSpec("commit_pending", BytesCoder())
    SOON = TimerSpec("commit_soon", TimeDomain.REAL_TIME)
    END = TimerSpec("commit_end", TimeDomain.WATERMARK)
    THE_END = GlobalWindow().max_timestamp()

    def __init__(
        self,
        lake: str,
        targets: Mapping[str, Target],
        streaming: bool,
        commit_seconds: float = 1.0,
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
    ) -> None:
        self._lake = lake
        self._targets = dict(targets)
        self._streaming = streaming
        self._commit_seconds = commit_seconds
        self._clock = clock
        self._patience = patience
        self._rows = Metrics.counter("lake", "rows_committed")
        self._commits = Metrics.counter("lake", "commits")

    def setup(self) -> None:
        """Hold no table open yet: which ones come here is up to the runner."""
        self._logs: dict[str, DeltaLog] = {}

    def teardown(self) -> None:
        """Let go of the tables."""
        self._logs.clear()

    def start_bundle(self) -> None:
        """Forget the numbers of the bundle before: they are durable now."""
        self._numbered_here: dict[str, int] = {}

    def process(
        self,
        element: tuple[str, bytes],
        pending: Any = beam.DoFn.StateParam(PENDING),
        soon: Any = beam.DoFn.TimerParam(SOON),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Number a file; nothing is committed in the bundle that numbers."""
        value = self._number(element, pending, soon, end)
        yield from self._ask(element[0], value)

    @on_timer(SOON)
    def on_soon(
        self,
        table: Any = beam.DoFn.KeyParam,
        pending: Any = beam.DoFn.StateParam(PENDING),
        soon: Any = beam.DoFn.TimerParam(SOON),
    ) -> Iterator[Any]:
        """Commit what is durable; come again while something is not."""
        value = Pending.decode(pending.read())
        value, committed = self._commit(table, value, value.due(self._durable(table, value)))
        pending.write(value.encode())
        if value.files:
            soon.set(self._clock() + self._commit_seconds)
            yield from self._ask(table, value)
        yield from committed

    @on_timer(END)
    def on_end(
        self,
        table: Any = beam.DoFn.KeyParam,
        pending: Any = beam.DoFn.StateParam(PENDING),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Commit the rest, or what is durable of it; come again while something is not."""
        value = Pending.decode(pending.read())
        value, committed = self._commit(table, value, value.due(self._durable_at_end(table, value)))
        pending.write(value.encode())
        if value.files:
            end.set(self.THE_END)
            yield from self._ask(table, value)
        yield from committed

    def _number(self, element: tuple[str, bytes], pending: Any, soon: Any, end: Any) -> Pending:
        table, file = element
        value = Pending.decode(pending.read())
        if value.job and table not in self._logs:
            self._log(table).check(value.job, value.next)
        if not value.files:
            # Never pushed on by later files, or a steady stream would never be committed.
            end.set(self.THE_END)
            if self._streaming:
                soon.set(self._clock() + self._commit_seconds)
        self._numbered_here.setdefault(table, value.next)
        value = value.number([file], _process)
        pending.write(value.encode())
        return value

    def _ask(self, table: str, value: Pending) -> Iterable[TaggedOutput]:  # noqa: ARG002
        """What to ask the runner, so that it tells when the numbers are durable."""
        return ()

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
            self._logs[table] = open_log(self._lake, self._targets[table].log, self._patience)
        return self._logs[table]


class CommitOnCheckpoint(Commit):
    """`Commit` for Flink, where a bundle's state is durable only when a checkpoint holds it.

    A number of this process is durable once its `Confirmation` says so; one of another process came
    back from a restore, so a checkpoint held it. That asks for what Flink's runner does: a table's
    key stays with one worker process between restores (no `load_balance_bundles`, no
    `environment_expiration_millis`).

    The end of input is no exception: what is not durable then waits for later checkpoints, and the
    timer of the end comes again with each bundle until they have come. It holds the step's
    watermark back meanwhile, so the step is at the end of time only when all is committed. It also
    means that a task must not finish: it would come again for ever and no checkpoint with it.

    Beside the committed files it emits confirmations, tagged `CONFIRM`, for `AskOnCheckpoint` in
    the same bundle.
    """

    # Flink clears the state of a step whose watermark is at the global window's last millisecond,
    # a hold at that very time or not. And beyond it only event-time timers are heard.
    THE_END = Commit.THE_END - Duration(seconds=1)

    def _number(self, element: tuple[str, bytes], pending: Any, soon: Any, end: Any) -> Pending:
        value = super()._number(element, pending, soon, end)
        forget_from(self._key(element[0], value), value.next - 1)
        return value

    def _ask(self, table: str, value: Pending) -> Iterable[TaggedOutput]:
        asked = confirmation(self._key(table, value), value.next - 1)
        yield TaggedOutput(CONFIRM, asked)

    def _durable(self, table: str, value: Pending) -> Callable[[Numbered], bool]:
        durable = durable_up_to(self._key(table, value))
        return lambda entry: entry.process != _process or entry.number <= durable

    def _key(self, table: str, value: Pending) -> Key:
        return Key(self._lake, table, value.job)


def commit_files(
    files: beam.PCollection[tuple[str, bytes]],
    lake: str,
    targets: Mapping[str, Target],
    *,
    streaming: bool,
    durability: Durability,
    patience: float = PATIENCE,
) -> beam.PCollection[CommittedFile]:
    """Add gathered files to their tables; gives them as they are committed.

    Args:
        files: `(table, encoded DataFile)`, in the global window.
        lake: Where.
        targets: By name.
        streaming: Whether files are also committed before the end of input.
        durability: When a number in state is safe; of a bounded run always with its bundle.
        patience: Seconds for which a commit outlasts a lake that refuses it.
    """
    # A bounded job on Flink takes no checkpoints and refuses a step that asks for them.
    if not streaming or durability == "bundle":
        commit = Commit(lake, targets, streaming, patience=patience)
        committed: Any = files | "Commit" >> beam.ParDo(commit).with_output_types(CommittedFile)
        return committed
    commit = CommitOnCheckpoint(lake, targets, streaming, patience=patience)
    outputs: Any = files | "Commit" >> beam.ParDo(commit).with_outputs(CONFIRM, main="committed")
    outputs[CONFIRM].element_type = Confirmation
    outputs.committed.element_type = CommittedFile
    _ = outputs[CONFIRM] | "Confirm" >> beam.ParDo(AskOnCheckpoint())
    return outputs.committed
