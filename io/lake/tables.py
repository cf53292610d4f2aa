"""A lake table: its columns, its partitions and how its files are written."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Schema

from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.file_statistics import statistics
from eddyline.io.lake.kernels import kernels
from eddyline.io.lake.patience import Patience
from eddyline.io.lake.storage import Location, locate

EVENT_DATE = "event_date"
_NO_DATE = "__HIVE_DEFAULT_PARTITION__"


class Target(Protocol):
    """What a batch can be written to: a table, or the raw zone."""

    @property
    def name(self) -> str:
        """The name it has in the lake."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """The columns of its batches."""
        ...

    @property
    def log(self) -> "Table":
        """The Delta table whose commits make its files visible."""
        ...

    def write(
        self, lake: str, rows: pa.Table, now: float, patience: Patience | None = None
    ) -> list[DataFile]:
        """Write rows into new files that no reader sees before a commit."""
        ...


@dataclass(frozen=True)
class Table:
    """A Delta table under `<lake>/<name>/`, zstd Parquet, partitioned by the date of a time column.

    Attributes:
        name: The directory, and the name in the commit log.
        schema: The columns, without the partition column `event_date` that is derived.
        time_column: A timestamp column; its UTC date is the partition.

    Raises:
        ValueError: A name that is no plain directory name, a column Delta has no type for, a time
            column that is missing or no timestamp.

    >>> seen = pa.schema([("device_id", pa.string()), ("event_time", pa.timestamp("us", "UTC"))])
    >>> Table("readings", seen, "event_time").columns.names
    ['device_id', 'event_time', 'event_date']
    """

    name: str
    schema: pa.Schema
    time_column: str

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").isalnum():
            raise ValueError(f"table name {self.name!r}: letters, digits and _ only")
        if EVENT_DATE in self.schema.names:
            raise ValueError(f"table {self.name}: {EVENT_DATE} is derived, not given")
        if self.time_column not in self.schema.names:
            raise ValueError(f"table {self.name}: no column {self.time_column!r}")
        if not pa.types.is_timestamp(self.schema.field(self.time_column).type):
            raise ValueError(f"table {self.name}: {self.time_column} is no timestamp")
        try:
            Schema.from_arrow(self.schema)
        except Exception as error:
            raise ValueError(f"table {self.name}: {error}") from error

    @property
    def columns(self) -> pa.Schema:
        """The columns as a reader sees them: with the partition column, last."""
        return self.schema.append(pa.field(EVENT_DATE, pa.date32()))

    @property
    def log(self) -> "Table":
        """The Delta table whose commits make the files visible: this one."""
        return self

    def write(
        self, lake: str, rows: pa.Table, now: float, patience: Patience | None = None
    ) -> list[DataFile]:
        """Write one Parquet file for each date in the rows, under names never used before.

        A call that is repeated writes other files: what an abandoned attempt left behind is never
        overwritten, and never committed. So is what is left of an attempt that the lake refused.

        Args:
            lake: Where.
            rows: In this table's schema; the order is kept.
            now: Seconds since the epoch, for the files' modification time.
            patience: How long a file outlasts a lake that refuses it; by default not at all.

        Raises:
            LakeUnavailable: The lake refused a file for longer than the patience.
        """
        place = locate(lake)
        patience = patience or Patience(0)
        return [
            patience.outlast(
                lake, f"write {self.name}", partial(self._write_one, place, part, day, now)
            )
            for day, part in by_date(rows, self.time_column)
        ]

    def _write_one(self, place: Location, part: pa.Table, day: str | None, now: float) -> DataFile:
        path = f"{EVENT_DATE}={day or _NO_DATE}/part-{uuid.uuid4().hex}.parquet"
        with place.open_new(place.join(self.name, path)) as sink:
            pq.write_table(part, sink, compression="zstd")
            size = sink.tell()
        return DataFile(path, size, part.num_rows, day, statistics(part), int(now * 1000))


def conform(rows: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """Bring rows to a schema: reorder, cast safely, fill absent nullable columns with nulls.

    So a batch that waited in state while a channel was added is still written.

    Raises:
        ValueError: A column is missing and not nullable, unknown to the schema, holds a null it
            must not, or does not fit its type. The message names the table and the column.

    >>> schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    >>> conform(pa.table({"a": [1]}), schema, "t").to_pylist()
    [{'a': 1, 'b': None}]
    """
    unknown = set(rows.column_names) - set(schema.names)
    if unknown:
        raise ValueError(f"table {name}: unknown columns {sorted(unknown)}")
    columns: list[pa.ChunkedArray] = []
    for field in schema:
        if field.name in rows.column_names:
            column = rows.column(field.name)
        else:
            column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        if column.null_count and not field.nullable:
            raise ValueError(f"table {name}: {field.name} is null or missing and must not be")
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except pa.ArrowException as error:
                raise ValueError(f"table {name}: {field.name}: {error}") from error
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def by_date(rows: pa.Table, time_column: str) -> Iterator[tuple[str | None, pa.Table]]:
    """Split rows by the UTC date of a time column; None for rows without a time."""
    dates = rows.column(time_column).cast(pa.date32())
    distinct = kernels.unique(dates)
    for day in distinct.sort():
        if len(distinct) == 1:
            part = rows
        else:
            part = rows.filter(
                kernels.equal(dates, day) if day.is_valid else kernels.is_null(dates)
            )
        yield (day.as_py().isoformat() if day.is_valid else None), part
