"""The transaction log of one table: opened, created or widened, and appended to exactly once."""

from collections.abc import Callable, Sequence
from itertools import islice
from threading import Lock
from typing import TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction
from pyarrow import fs

from eddyline.io.backoff import waits
from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.patience import Patience
from eddyline.io.lake.pending import Numbered
from eddyline.io.lake.refusal import TROUBLES
from eddyline.io.lake.storage import delta_options, locate, table_uri
from eddyline.io.lake.tables import EVENT_DATE, Table

T = TypeVar("T")

ATTEMPTS = 12
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 5.0


class RewoundStateError(RuntimeError):
    """The job's state is older than what the job itself committed to the lake."""


class DeltaLog:
    """One table's log, held open; threads may share it, and take turns.

    Args:
        lake: Where.
        table: Created if it is not there; a nullable column that it lacks is added.
        patience: How long it outlasts a lake that refuses.

    Raises:
        ValueError: The table on storage has another type for a column.
        LakeUnavailable: The lake refused for longer than the patience.
    """

    def __init__(self, lake: str, table: Table, patience: Patience | None = None) -> None:
        self._lake = lake
        self._table = table
        self._patience = patience or Patience()
        self._schema = Schema.from_arrow(table.columns)
        self._delta: DeltaTable | None = None
        self._one_at_a_time = Lock()

    def committed(self, job: str) -> int:
        """Give the highest number that a job has committed, 0 for none, as of now."""
        return self._outlast(lambda: self._committed(job))

    def check(self, job: str, following: int) -> None:
        """Refuse a state from which numbers would be given a second time.

        Such a state comes from an older savepoint: its next files would bear numbers that the
        transaction has passed and would be dropped as committed.

        Raises:
            RewoundStateError: The next number was committed already.
        """
        committed = self.committed(job)
        if following <= committed:
            raise RewoundStateError(
                f"table {self._table.name}: the job's state would give number {following} next and "
                f"has committed up to {committed}: it was restored from an older savepoint than "
                "the lake. Restore the latest one, or restore the table to that time as well."
            )

    def append(self, job: str, files: Sequence[Numbered]) -> int:
        """Commit files in one transaction, each exactly once, whoever else writes the table.

        Files whose number the job's transaction has reached are skipped. The transaction is read
        from the very snapshot that the commit is checked against: if the same job commits between
        (a zombie of it), the commit conflicts and is looked at again. So it is before every further
        attempt: a commit that was refused or got no answer may be in the log all the same, and one
        that is still on its way finds its version taken.

        Args:
            job: The job that numbered them.
            files: In ascending order.

        Returns:
            How many were committed by the last attempt: none where an earlier one had an effect
            without an answer.

        Raises:
            FileNotFoundError: A file is gone (vacuumed before its commit); nothing is committed.
            CommitFailedError: Still in conflict after 12 attempts over about 20 seconds.
        """
        return self._outlast(lambda: self._past_conflicts(lambda: self._append(job, files)))

    def create(self) -> None:
        """Create the table if it is not there, so that a reader finds it empty and not missing."""
        self._outlast(self._fresh)

    def _append(self, job: str, files: Sequence[Numbered]) -> int:
        reached = self._committed(job)
        rest = [(entry.number, DataFile.decode(entry.file)) for entry in files]
        rest = [(number, file) for number, file in rest if number > reached]
        if not rest:
            return 0
        self._require([file.path for _, file in rest])
        self._fresh_or_known().create_write_transaction(
            [_add(file) for _, file in rest],
            mode="append",
            schema=self._schema,
            partition_by=[EVENT_DATE],
            commit_properties=CommitProperties(
                app_transactions=[Transaction(f"lake:{self._table.name}:{job}", rest[-1][0])]
            ),
        )
        return len(rest)

    def _committed(self, job: str) -> int:
        return self._fresh().transaction_version(f"lake:{self._table.name}:{job}") or 0

    def _fresh(self) -> DeltaTable:
        if self._delta is None:
            self._delta = self._open()
        else:
            self._delta.update_incremental()
        return self._delta

    def _fresh_or_known(self) -> DeltaTable:
        return self._delta if self._delta is not None else self._fresh()

    def _open(self) -> DeltaTable:
        return self._past_conflicts(self._open_or_create)

    def _open_or_create(self) -> DeltaTable:
        uri = table_uri(self._lake, self._table.name)
        options = delta_options(self._lake, patient=False)
        try:
            delta = DeltaTable(uri, storage_options=options)
        except TableNotFoundError:
            delta = DeltaTable.create(
                uri,
                self._schema,
                mode="ignore",
                partition_by=[EVENT_DATE],
                storage_options=options,
                # Else the loser of a race creates the table again, as its version 1.
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        return self._widened(delta)

    def _widened(self, delta: DeltaTable) -> DeltaTable:
        there = pa.schema(delta.schema())
        missing: list[Field] = []
        for field, declared in zip(self._table.columns, self._schema.fields, strict=True):
            at = there.get_field_index(field.name)
            if at < 0:
                missing.append(Field(declared.name, declared.type, nullable=True))
            elif not there.field(at).type.equals(field.type):
                raise ValueError(
                    f"table {self._table.name}: column {field.name} is {there.field(at).type} on "
                    f"storage and {field.type} in the schema"
                )
        if missing:
            delta.alter.add_columns(missing)
            delta.update_incremental()
        return delta

    def _require(self, paths: list[str]) -> None:
        place = locate(self._lake)
        found = place.filesystem.get_file_info(
            [place.join(self._table.name, path) for path in paths]
        )
        gone = [info.path for info in found if info.type == fs.FileType.NotFound]
        if gone:
            raise FileNotFoundError(
                f"table {self._table.name}: gathered and not committed, yet gone: {gone[:3]}"
            )

    def _outlast(self, attempt: Callable[[], T]) -> T:
        def try_once() -> T:
            with self._one_at_a_time:  # nobody moves the snapshot between a look and its commit
                try:
                    return attempt()
                except TROUBLES:
                    self._delta = None  # opened again, with the credentials of then
                    raise

        return self._patience.outlast(self._lake, f"commit to {self._table.name}", try_once)

    def _past_conflicts(self, attempt: Callable[[], T]) -> T:
        # Jitter: two writers that met once would meet again.
        for delay in islice(waits(_FIRST_DELAY, _LONGEST_DELAY), ATTEMPTS - 1):
            try:
                return attempt()
            except CommitFailedError:
                self._patience.sleep(delay)
        return attempt()


def _add(file: DataFile) -> AddAction:
    return AddAction(
        file.path, file.size, {EVENT_DATE: file.date}, file.modified, True, file.statistics
    )
