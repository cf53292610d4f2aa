"""The rows of a batch that fit their table, and those that do not."""

from typing import NamedTuple

import pyarrow as pa

from eddyline.io.lake.tables import conform
from eddyline.io.rows.refused import RefusedRow, refused_row
from eddyline.io.rows.table import RowTable


class Fitting(NamedTuple):
    """What became of a batch: rows + refused, nothing else."""

    rows: pa.RecordBatch
    refused: list[RefusedRow]


def fitting(table: RowTable, batch: pa.RecordBatch) -> Fitting:
    """Bring a batch to its table's columns; a row that does not fit costs itself only.

    Absent nullable columns become nulls, so a batch from before a channel was added still fits. A
    row does not fit with a null where none may be, or a value that its column's type cannot hold.
    """
    if batch.schema.equals(table.schema) and not _null_where_none_may_be(batch):
        return Fitting(batch, [])
    try:
        return Fitting(_conformed(table, batch), [])
    except ValueError:
        pass  # row by row it shows which
    fit: list[pa.RecordBatch] = []
    refused: list[RefusedRow] = []
    for row in range(batch.num_rows):
        try:
            fit.append(_conformed(table, batch.slice(row, 1)))
        except ValueError as error:
            refused.append(refused_row(table, batch, row, "wrong_type", str(error)))
    return Fitting(joined(table, fit), refused)


def joined(table: RowTable, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of the table's own columns as one."""
    if not batches:
        return pa.RecordBatch.from_pylist([], table.schema)
    whole = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], table.schema)


def _conformed(table: RowTable, batch: pa.RecordBatch) -> pa.RecordBatch:
    return joined(
        table, conform(pa.Table.from_batches([batch]), table.schema, table.name).to_batches()
    )


def _null_where_none_may_be(batch: pa.RecordBatch) -> bool:
    return any(
        not field.nullable and column.null_count
        for field, column in zip(batch.schema, batch.columns, strict=True)
    )
