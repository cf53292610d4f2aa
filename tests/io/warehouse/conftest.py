"""BigQuery on loopback, and rows for it."""

import importlib.util
from pathlib import Path

import pyarrow as pa
import pytest

from eddyline.io.rows.table import TABLE_NAMES, row_table
from eddyline.schemas.bigquery import bigquery_schema
from eddyline.schemas.record import load_contract

T0 = 1_767_312_000_000_000  # 2026-01-02T00:00:00Z
CONTRACT = load_contract("room")


@pytest.fixture
def bigquery(monkeypatch):
    """The service, with every table there; a test fails where it was used as it may not be."""
    found = importlib.util.spec_from_file_location(
        "fake_bigquery", Path(__file__).with_name("fake_bigquery.py")
    )
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    records = {name: row_table(CONTRACT, name).record for name in TABLE_NAMES}
    fake = module.FakeBigQuery({f"t.{n}": bigquery_schema(record) for n, record in records.items()})
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", fake.url)
    yield fake
    fake.close()
    assert fake.violations == []


@pytest.fixture
def table():
    return lambda name: row_table(CONTRACT, name)


@pytest.fixture
def minutes(table):
    """A batch of minutes: device n, revision 0."""

    def make(numbers, **given):
        numbers = list(numbers)
        columns = {
            "device_id": [f"room-{n}" for n in numbers],
            "minute_start": [T0] * len(numbers),
            "revision": [0] * len(numbers),
            "readings": numbers,
            "temperature_mean": [n / 4 for n in numbers],
        }
        return rows(table("minutes"), {**columns, **given})

    return make


@pytest.fixture
def readings(table):
    """A batch of readings, of which nothing is beyond its limits: a null list."""

    def make(numbers):
        numbers = list(numbers)
        count = len(numbers)
        columns = {
            "device_id": [f"room-{n}" for n in numbers],
            "event_time": [T0 + n for n in numbers],
            "reading_id": [-(2**63) + n for n in numbers],
            "arrival_time": [T0] * count,
            "source": ["a.jsonl"] * count,
            "position": ["7"] * count,
            "known": [True] * count,
            "temperature": [n / 4 for n in numbers],
            "verdict": ["NORMAL"] * count,
        }
        return rows(table("readings"), columns)

    return make


@pytest.fixture
def letters(table):
    """A batch of dead letters."""

    def make(payloads, position="7"):
        count = len(payloads)
        columns = {
            "arrival_time": [T0] * count,
            "stage": ["decode"] * count,
            "reason": ["malformed"] * count,
            "error": ["no JSON"] * count,
            "payload": payloads,
            "attributes": [[("content-type", "application/json")]] * count,
            "source": ["a.jsonl"] * count,
            "position": [position] * count,
        }
        return rows(table("dead_letters"), columns)

    return make


def rows(table, columns):
    count = len(next(iter(columns.values())))
    return pa.RecordBatch.from_pydict(
        {
            field.name: pa.array(columns.get(field.name, [None] * count), field.type)
            for field in table.schema
        },
        schema=table.schema,
    )
