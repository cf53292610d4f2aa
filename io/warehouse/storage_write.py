"""StorageWrite: rows by BigQuery's Storage Write API, as Arrow.

Beam's way to this API is a Java transform that needs a JVM beside every worker; the API itself
takes Arrow record batches, which is what we have.
"""

import math
from collections.abc import Iterator, Sequence

import pyarrow as pa
from google.api_core.exceptions import from_grpc_status
from google.cloud.bigquery_storage_v1 import types

from eddyline.io.rows.fitting import fitting, joined
from eddyline.io.rows.refused import RefusedRow, refused_row
from eddyline.io.rows.resend import Outcome, Problem
from eddyline.io.rows.table import RowTable
from eddyline.io.warehouse.dataset import Dataset
from eddyline.io.warehouse.deliver import deliver

# The service takes 10 MB a request (AppendRows), its own bytes included.
MAX_ROW_BYTES = 9_000_000
REQUEST_BYTES = 5_000_000
TIMEOUT = 60.0

_ENTRY = pa.struct(
    [pa.field("key", pa.string(), nullable=False), pa.field("value", pa.string(), nullable=False)]
)


class StorageWrite:
    """Writes batches of a table by its default stream.

    Guarantee: when `write` returns, each row is in the table or in what it returns, at least once:
    the default stream knows no ids, so a repeated bundle or an answer that got lost writes rows
    again. The views of docs/warehouse.md take each row once. It costs less a byte than streaming
    inserts. A row that the service refuses costs itself only.

    Args:
        dataset: Where the tables are.
        patience: Seconds without an answer after which `write` raises.
    """

    def __init__(self, dataset: Dataset, patience: float) -> None:
        self._dataset = dataset
        self._patience = patience
        self._client = dataset.storage()

    def write(self, table: RowTable, batches: Sequence[pa.RecordBatch]) -> list[RefusedRow]:
        """Write all rows; see `InsertAll.write` for what it returns and raises."""
        refused: list[RefusedRow] = []
        fit: list[pa.RecordBatch] = []
        for batch in batches:
            found = fitting(table, batch)
            refused += found.refused
            fit.append(found.rows)
        rows = joined(table, fit)
        for part in _parts(rows):
            if part.num_rows == 1 and part.nbytes > MAX_ROW_BYTES:
                words = f"{part.nbytes:,} bytes; a row has at most {MAX_ROW_BYTES:,}"
                refused.append(refused_row(table, part, 0, "too_large", words))
            else:
                refused += self._send(table, part)
        return refused

    def close(self) -> None:
        """Close the connections."""
        self._client.transport.close()

    def _send(self, table: RowTable, rows: pa.RecordBatch) -> list[RefusedRow]:
        def send(left: Sequence[int]) -> Outcome[int]:
            whole = len(left) == rows.num_rows
            response = self._append(table, rows if whole else rows.take(pa.array(left, pa.int64())))
            if response.row_errors:  # then none of the request's rows was written
                bad = {int(entry.index): entry.message for entry in response.row_errors}
                return Outcome(
                    refused=[Problem(left[at], "refused", words) for at, words in bad.items()],
                    again=[Problem(row, "", "") for at, row in enumerate(left) if at not in bad],
                )
            if response.error.code:
                raise from_grpc_status(response.error.code, response.error.message)
            return Outcome()

        name = f"{self._dataset}.{table.name}"
        problems = deliver(send, range(rows.num_rows), self._patience, name, table.record.name)
        return [refused_row(table, rows, p.item, p.reason, p.error) for p in problems]

    def _append(self, table: RowTable, rows: pa.RecordBatch) -> types.AppendRowsResponse:
        stream = (
            f"projects/{self._dataset.project}/datasets/{self._dataset.name}"
            f"/tables/{table.name}/streams/_default"
        )
        sent = storable(rows)
        data = types.AppendRowsRequest.ArrowData(
            writer_schema=types.ArrowSchema(serialized_schema=sent.schema.serialize().to_pybytes()),
            rows=types.ArrowRecordBatch(serialized_record_batch=sent.serialize().to_pybytes()),
        )
        request = types.AppendRowsRequest(write_stream=stream, arrow_rows=data)
        # The stream's name in the header routes the call to the table's region.
        answers = self._client.append_rows(
            iter([request]),
            retry=None,  # pyright: ignore[reportArgumentType] documented: none of its own
            timeout=TIMEOUT,
            metadata=[("x-goog-request-params", f"write_stream={stream}")],
        )
        return next(iter(answers))


def storable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with BigQuery's types: a map as a repeated record, and no list that is null.

    Example:
        >>> storable(pa.RecordBatch.from_pydict(
        ...     {"m": pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string()))}
        ... )).to_pylist()
        [{'m': [{'key': 'a', 'value': 'b'}]}]
    """
    columns = [_repeated(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _repeated(column: pa.Array) -> pa.Array:
    if pa.types.is_map(column.type):
        entries = [
            [{"key": key, "value": value} for key, value in pairs or ()]
            for pairs in column.to_pylist()
        ]
        return pa.array(entries, pa.list_(_ENTRY))
    if pa.types.is_list(column.type) and column.null_count:
        return pa.array([values or [] for values in column.to_pylist()], column.type)
    return column


def _parts(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in their order, halved until a part is small enough or a single row."""
    if not rows.num_rows:
        return
    if rows.nbytes <= REQUEST_BYTES or rows.num_rows == 1:
        yield rows
        return
    middle = math.ceil(rows.num_rows / 2)
    yield from _parts(rows.slice(0, middle))
    yield from _parts(rows.slice(middle))
