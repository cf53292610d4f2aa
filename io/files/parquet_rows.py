"""Parquet: a row is a reading."""

import math
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from eddyline.io.files.damaged import Damaged
from eddyline.io.files.kinds import Kinds
from eddyline.io.files.row import Row
from eddyline.schemas.unreadable import mark

ROWS = 1_000
FOOTER = 64 * 2**20  # bytes of one string or list in the metadata
_encode = msgspec.json.Encoder(decimal_format="number").encode


def parquet_rows(file: BinaryIO, kinds: Kinds) -> Iterator[Row]:
    """The rows as JSON objects; a null is a value that is missing.

    Guarantee: every row before the first damaged page is given once, in order, numbered from 1. A
    value that is no number (NaN, infinity) becomes text, so that it is refused by its name and not
    taken for a missing one. Ids are text. Memory: some pages of each column.

    Args:
        file: Open for reading bytes, at any place.
        kinds: Which columns are ids.

    Raises:
        Damaged: It is no Parquet file, or damaged from the next row on.
    """
    try:
        reader = pq.ParquetFile(
            file,
            pre_buffer=False,
            thrift_string_size_limit=FOOTER,
            thrift_container_size_limit=FOOTER,
        )
        batches = reader.iter_batches(ROWS, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Damaged(f"no Parquet: {error}") from error
    number = 1
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise Damaged(f"damaged Parquet: {error}") from error
        if batch is None:
            return
        for payload in _payloads(batch, kinds):
            yield payload._replace(number=number)
            number += 1


def _payloads(batch: pa.RecordBatch, kinds: Kinds) -> Iterator[Row]:
    columns = {
        name: _values(name, column, kinds)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    for values in zip(*columns.values(), strict=True):
        row = {
            name: value for name, value in zip(columns, values, strict=True) if value is not None
        }
        try:
            yield Row(_encode(row), 0)
        except (TypeError, ValueError, msgspec.MsgspecError) as error:
            yield Row(repr(row).encode(), 0, mark("bad_row", str(error)))


def _values(name: str, column: pa.Array, kinds: Kinds) -> list[object]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if name in kinds.text and pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [v if v is None or math.isfinite(v) else str(v) for v in values]
    return values
