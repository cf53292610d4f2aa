"""The messages of one file, whatever its format, and whatever state it is in."""

from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa

from eddyline.io.files.avro_blocks import avro_blocks
from eddyline.io.files.csv_rows import csv_rows
from eddyline.io.files.damaged import Damaged
from eddyline.io.files.kinds import Kinds
from eddyline.io.files.lines import line_batches
from eddyline.io.files.opened import opened, opened_as_it_is
from eddyline.io.files.parquet_rows import parquet_rows
from eddyline.io.files.row import Row
from eddyline.io.files.unpack import unpacker_of
from eddyline.io.sources.columns import MAX_BYTES, Columns
from eddyline.schemas.unreadable import mark


def contents(path: str, arrival_time: int, rows: int, kinds: Kinds) -> Iterator[pa.RecordBatch]:
    """Batches of the file's messages, in its order.

    Guarantee: a file gives the same messages each time. A message's source is the file's name, its
    position the number of its (first) row from 1 as text of 12 digits. Where the file is damaged,
    the last message stands for what could not be read and is marked as that; what came before is
    given, as far as it can be. The format is told by the ending of the name: `.csv`, `.tsv`,
    `.avro`, `.parquet`, else JSON lines; before `.gz`, `.bz2`, `.zst`.

    Args:
        path: Of the file; local, s3:// or gs://.
        arrival_time: Of every message, µs since the epoch.
        rows: Most messages a batch.
        kinds: What the columns of a table hold.

    Raises:
        Exception: Of the transport: the file cannot be reached now, or is not there.
    """
    number = 0
    try:
        for batch in _batches(path, arrival_time, rows, kinds):
            yield batch
            number = int(batch.column("position")[-1].as_py())
    except Damaged as error:
        columns = Columns()
        why = mark("damaged_file", str(error))
        columns.add(error.rest, path, f"{number + 1:012d}", arrival_time, why)
        yield from columns.batches(1)


def format_of(path: str) -> str:
    """The ending that tells the format.

    Example:
        >>> format_of("s3://bucket/a.csv.gz"), format_of("a.zst"), format_of("readings")
        ('.csv', '', '')
    """
    name = PurePosixPath(path)
    return (PurePosixPath(name.stem) if unpacker_of(path) else name).suffix.lower()


def _batches(path: str, arrival_time: int, rows: int, kinds: Kinds) -> Iterator[pa.RecordBatch]:
    form = format_of(path)
    if form == ".parquet":
        if unpacker_of(path):
            raise Damaged(f"{path}: a packed Parquet file is not read; unpack it")
        with opened_as_it_is(path) as file:
            yield from _gathered(parquet_rows(file, kinds), path, arrival_time, rows)
        return
    with opened(path) as file:
        if form in (".csv", ".tsv", ".avro"):
            found = avro_blocks(file) if form == ".avro" else csv_rows(file, kinds)
            yield from _gathered(found, path, arrival_time, rows)
        else:
            yield from line_batches(file, path, arrival_time, rows)


def _gathered(
    found: Iterator[Row], path: str, arrival_time: int, rows: int
) -> Iterator[pa.RecordBatch]:
    columns, damaged = Columns(), None
    try:
        for payload, number, attributes in found:
            columns.add(payload, path, f"{number:012d}", arrival_time, attributes)
            if len(columns) == rows or columns.size > MAX_BYTES:
                yield from columns.batches(rows)
                columns = Columns()
    except Damaged as error:
        damaged = error
    if len(columns):
        yield from columns.batches(rows)
    if damaged is not None:
        raise damaged
