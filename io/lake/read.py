"""Read the lake: tables as Arrow datasets, raw messages in the order they arrived."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from eddyline.io.lake.kernels import kernels
from eddyline.io.lake.raw import RAW_FILES, read_avro
from eddyline.io.lake.storage import delta_options, locate, table_uri

_ORDER = [("arrival_time", "ascending"), ("source", "ascending"), ("position", "ascending")]


class RawFile(NamedTuple):
    """A committed Avro file; all its messages arrived within one hour.

    Attributes:
        path: Relative to the lake.
        rows: Messages.
        size: In bytes.
        first_arrival: Of the earliest message.
        last_arrival: Of the latest one.
    """

    path: str
    rows: int
    size: int
    first_arrival: datetime
    last_arrival: datetime


def open_table(lake: str, name: str) -> DeltaTable:
    """Open a table as it is now.

    `open_table(...).to_pyarrow_dataset()` is what DuckDB, pandas and Polars take; only what was
    committed is in it.

    Raises:
        TableNotFoundError: There is no such table (yet).
    """
    return DeltaTable(table_uri(lake, name), storage_options=delta_options(lake))


def raw_files(
    lake: str, start: datetime | None = None, end: datetime | None = None
) -> list[RawFile]:
    """List the committed raw files that may hold messages of a time range, oldest first.

    Args:
        lake: Where.
        start: Arrival time from, inclusive, with a zone; None for the beginning.
        end: Arrival time to, exclusive, with a zone; None for the end.
    """
    wanted = ds.scalar(True)
    if start is not None:
        wanted &= ds.field("last_arrival") >= _instant(start)
    if end is not None:
        wanted &= ds.field("first_arrival") < _instant(end)
    index = open_table(lake, RAW_FILES.name).to_pyarrow_dataset().to_table(filter=wanted)
    rows = index.select(["path", "rows", "bytes", "first_arrival", "last_arrival"]).to_pylist()
    files = [RawFile(*row.values()) for row in rows]
    return sorted(files, key=lambda file: (file.first_arrival, file.path))


def read_raw(
    lake: str,
    start: datetime | None = None,
    end: datetime | None = None,
    rows: int = 500,
) -> Iterator[pa.RecordBatch]:
    """Read messages in the order of (arrival time, source, position).

    Reads committed files only, and only those of the hours asked for. Holds one arrival hour in
    memory.

    Args:
        lake: Where.
        start: Arrival time from, inclusive, with a zone; None for the beginning.
        end: Arrival time to, exclusive, with a zone; None for the end.
        rows: The most messages in a batch.

    Yields:
        Batches in `MESSAGE_SCHEMA`.
    """
    place = locate(lake)
    hours: dict[datetime, list[RawFile]] = {}
    for file in raw_files(lake, start, end):
        hour = file.first_arrival.replace(minute=0, second=0, microsecond=0)
        hours.setdefault(hour, []).append(file)
    for hour in sorted(hours):
        messages = pa.concat_tables(read_avro(place, file.path) for file in hours[hour])
        arrival = messages.column("arrival_time")
        if start is not None:
            messages = messages.filter(kernels.greater_equal(arrival, _instant(start)))
        if end is not None:
            arrival = messages.column("arrival_time")
            messages = messages.filter(kernels.less(arrival, _instant(end)))
        yield from messages.sort_by(_ORDER).combine_chunks().to_batches(max_chunksize=rows)


def _instant(moment: datetime) -> pa.Scalar:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone")
    return pa.scalar(moment, pa.timestamp("us", "UTC"))
