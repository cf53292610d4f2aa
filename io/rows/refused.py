"""A row that a service did not take, as a dead letter."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa

from eddyline.io.rows.json_rows import plain_rows
from eddyline.io.rows.table import RowTable
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract

# Its columns depend on no channel, so any contract tells them.
DEAD_LETTER = arrow_schema(load_contract("room").record("dead_letter"))
MAX_ERROR = 500


class RefusedRow(NamedTuple):
    """One row that was not taken.

    Args:
        table: Whose row.
        row_id: Its id; empty where it was refused before it had one.
        time: Its own time, microseconds; no clock is asked, so a repeated bundle tells the same.
        reason: too_large, wrong_type, refused (by the service), undelivered (no answer for long).
        error: In words.
        payload: The row as a JSON object.
    """

    table: str
    row_id: str
    time: int
    reason: str
    error: str
    payload: bytes


def refused_row(
    table: RowTable, batch: pa.RecordBatch, row: int, reason: str, error: str, row_id: str = ""
) -> RefusedRow:
    """A row of a batch, refused."""
    one = batch.slice(row, 1)
    time = one.column(table.time_column)[0] if table.time_column in one.schema.names else None
    # Through int64: a year that Python's datetime has not must not stop here.
    micros = time.cast(pa.int64()).as_py() if time is not None and time.is_valid else 0
    payload = msgspec.json.encode(plain_rows(one)[0])
    return RefusedRow(table.name, row_id, int(micros), reason, error, payload)


def dead_letters(stage: str, service: str, refused: Sequence[RefusedRow]) -> pa.RecordBatch:
    """The refused rows as a batch of dead letters.

    `source` names the service and table, `position` is the row's id. These are rows and no
    messages: a replay of dead letters leaves their stages out.

    Args:
        stage: The step, such as warehouse.
        service: Where it should have gone, such as bigquery:project.dataset.
        refused: The rows.

    Example:
        >>> row = RefusedRow("minutes", "room-7:…", 0, "too_large", "12 MB", b"{}")
        >>> dead_letters("warehouse", "bigquery:p.d", [row]).column("source").to_pylist()
        ['bigquery:p.d.minutes']
    """
    return pa.RecordBatch.from_pydict(
        {
            "arrival_time": [row.time for row in refused],
            "stage": [stage] * len(refused),
            "reason": [row.reason for row in refused],
            "path": pa.nulls(len(refused), pa.string()),
            "error": [row.error[:MAX_ERROR] for row in refused],
            "payload": [row.payload for row in refused],
            "attributes": [[("table", row.table)] for row in refused],
            "source": [f"{service}.{row.table}" if service else row.table for row in refused],
            "position": [row.row_id for row in refused],
        },
        schema=DEAD_LETTER,
    )
