"""Rows to publish, and the services to publish to: moto and Google's Pub/Sub emulator."""

import pyarrow as pa
import pytest

from eddyline.io.rows import resend as waiting
from eddyline.io.rows.table import row_table
from eddyline.schemas.record import load_contract

T0 = 1_767_312_000_000_000  # 2026-01-02T00:00:00Z
CONTRACT = load_contract("room")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_WAIT", 0.01)


@pytest.fixture
def table():
    return lambda name: row_table(CONTRACT, name)


@pytest.fixture
def incidents(table):
    """A batch of incidents: number n opened by room n % 5."""

    def make(numbers, **given):
        numbers = list(numbers)
        count = len(numbers)
        columns = {
            "incident_id": [f"room-{n % 5}/event/{n}" for n in numbers],
            "revision": [0] * count,
            "transition": ["opened"] * count,
            "kind": ["event"] * count,
            "severity": ["warning"] * count,
            "event_time": [T0 + n for n in numbers],
            "opened_at": [T0 + n for n in numbers],
            "last_seen": [T0 + n for n in numbers],
            "device_id": [f"room-{n % 5}" for n in numbers],
            "count": [1] * count,
            "duration": [0.0] * count,
            "channels": [["temperature"]] * count,
            "explanation": ["It is warm."] * count,
            "members": [[]] * count,
            **given,
        }
        schema = table("incidents").schema
        return pa.RecordBatch.from_pydict(
            {f.name: pa.array(columns.get(f.name, [None] * count), f.type) for f in schema},
            schema=schema,
        )

    return make
