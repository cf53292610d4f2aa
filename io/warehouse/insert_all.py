"""InsertAll: rows by BigQuery's streaming inserts, each with an insert id of its own.

Beam's `WriteToBigQuery` (2.77) makes its insert ids from a random UUID a bundle and takes none from
outside, so a bundle that is repeated inserts its rows again; and it hands a row over at a time.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from eddyline.io.rows.fitting import fitting
from eddyline.io.rows.json_rows import bigquery_rows
from eddyline.io.rows.refused import RefusedRow, refused_row
from eddyline.io.rows.resend import Outcome, Problem
from eddyline.io.rows.row_id import row_ids
from eddyline.io.rows.table import RowTable
from eddyline.io.warehouse.dataset import Dataset
from eddyline.io.warehouse.deliver import deliver

# The service's limits are 10 MB a row and a request, 50,000 rows a request and 128 characters an
# insert id; it recommends 500 rows.
MAX_ROW_BYTES = 9_000_000
REQUEST_BYTES, REQUEST_ROWS = 5_000_000, 500
OVERHEAD = 180  # bytes a row of the request beside the row: its id and the names around it
TIMEOUT = 60.0

# Of a row's errors, those of other rows of the request ("stopped") and of the service itself.
_NOT_THE_ROW = frozenset(
    {"stopped", "timeout", "backendError", "internalError", "rateLimitExceeded", "quotaExceeded"}
)


class Row(NamedTuple):
    """One row, ready to go, and where it came from."""

    row_id: str
    values: dict[str, Any]
    size: int
    batch: pa.RecordBatch
    at: int


class InsertAll:
    """Writes batches of a table by `tabledata.insertAll`.

    Guarantee: when `write` returns, each row is in the table or in what it returns. Each row has
    the insert id of `row_ids`, so BigQuery drops a row that it was sent before, for as long as it
    remembers the id (at least one minute, and by its own word as best it can). A row that the
    service refuses costs itself only. While it is busy or away nothing is lost: `write` waits.

    Args:
        dataset: Where the tables are.
        patience: Seconds without an answer after which `write` raises.
    """

    def __init__(self, dataset: Dataset, patience: float) -> None:
        self._dataset = dataset
        self._patience = patience
        self._client = dataset.rows()

    def write(self, table: RowTable, batches: Sequence[pa.RecordBatch]) -> list[RefusedRow]:
        """Write all rows.

        Returns:
            The rows that were not taken, each with its reason.

        Raises:
            WarehouseRefused: There is no such table, or we may not write into it.
            WarehouseUnavailable: No answer for longer than the patience.
        """
        rows: list[Row] = []
        refused: list[RefusedRow] = []
        for batch in batches:
            fit = fitting(table, batch)
            refused += fit.refused
            for row in ready(table, fit.rows):
                if row.size <= MAX_ROW_BYTES:
                    rows.append(row)
                else:
                    words = f"{row.size:,} bytes; a row has at most {MAX_ROW_BYTES:,}"
                    refused.append(_refused(table, row, "too_large", words))
        for request in requests_of(rows):
            refused += self._send(table, request)
        return refused

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, table: RowTable, rows: Sequence[Row]) -> list[RefusedRow]:
        name = f"{self._dataset}.{table.name}"

        def send(left: Sequence[Row]) -> Outcome[Row]:
            errors = self._client.insert_rows_json(
                name,
                [row.values for row in left],
                row_ids=[row.row_id for row in left],
                skip_invalid_rows=True,
                retry=None,  # pyright: ignore[reportArgumentType] documented: none of its own
                timeout=TIMEOUT,
            )
            return _sorted_out(left, errors)

        problems = deliver(send, rows, self._patience, name, table.record.name)
        return [_refused(table, p.item, p.reason, p.error) for p in problems]


def ready(table: RowTable, batch: pa.RecordBatch) -> Iterator[Row]:
    """The rows of a batch that fits its table, as the service takes them."""
    values = bigquery_rows(batch)
    encoded = [msgspec.json.encode(row) for row in values]
    ids = row_ids(table, values, encoded)
    for at, (row_id, row, content) in enumerate(zip(ids, values, encoded, strict=True)):
        yield Row(row_id, row, len(content) + OVERHEAD, batch, at)


def requests_of(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows in their order, cut where a request would have too many or be too large."""
    held: list[Row] = []
    size = 0
    for row in rows:
        if held and (len(held) >= REQUEST_ROWS or size + row.size > REQUEST_BYTES):
            yield held
            held, size = [], 0
        held.append(row)
        size += row.size
    if held:
        yield held


def _sorted_out(rows: Sequence[Row], errors: Sequence[Any]) -> Outcome[Row]:
    """Which rows the service refused for good, and which only for now or for others' sake."""
    outcome: Outcome[Row] = Outcome()
    for entry in errors:
        row = rows[int(entry["index"])]
        told = [one for one in entry["errors"] if one.get("reason") not in _NOT_THE_ROW]
        if told:
            place = f"{told[0].get('location')}: " if told[0].get("location") else ""
            outcome.refused.append(Problem(row, "refused", f"{place}{told[0].get('message', '')}"))
        else:
            outcome.again.append(Problem(row, "unavailable", str(entry["errors"])))
    return outcome


def _refused(table: RowTable, row: Row, reason: str, error: str) -> RefusedRow:
    return refused_row(table, row.batch, row.at, reason, error, row.row_id)
