"""Rows with an id each, so that every test can audit: each id once."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from eddyline.io.lake.tables import Table
from eddyline.schemas.message import MESSAGE_SCHEMA

DAY = 86_400_000_000
T0 = 1_767_312_000_000_000  # 2026-01-02T00:00:00Z


@pytest.fixture
def table():
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("event_time", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("value", pa.float64()),
        ]
    )
    return Table("readings", schema, "event_time")


@pytest.fixture
def rows(table):
    def make(ids, day=0):
        ids = list(ids)
        return pa.Table.from_pydict(
            {
                "id": ids,
                "event_time": [T0 + day * DAY + n for n in ids],
                "value": [n / 2 for n in ids],
            },
            schema=table.schema,
        )

    return make


@pytest.fixture
def batches(rows):
    def make(ids, size=100, day=0):
        return rows(ids, day).combine_chunks().to_batches(max_chunksize=size)

    return make


@pytest.fixture
def ids():
    def read(delta):
        return sorted(delta.to_pyarrow_dataset().to_table(columns=["id"])["id"].to_pylist())

    return read


@pytest.fixture
def message_record():
    path = Path(__file__).parents[3] / "schemas" / "message.avsc"
    return json.loads(path.read_text())


@pytest.fixture
def message_rows():
    def make(count):
        return pa.Table.from_pydict(
            {
                "payload": [b"%d" % n for n in range(count)],
                "attributes": [[("content-type", "json")]] * count,
                "source": ["a.jsonl"] * count,
                "position": [f"{n:08d}" for n in range(count)],
                "arrival_time": [T0 + n for n in range(count)],
            },
            schema=MESSAGE_SCHEMA,
        )

    return make
