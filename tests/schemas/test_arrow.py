"""The Arrow dialect."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import RECORD_NAMES, load_contract


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_columns_are_the_fields_in_their_order(name):
    record = load_contract("env_telemetry").record(name)
    schema = arrow_schema(record)
    assert schema.names == [field.name for field in record.fields]
    assert [f.nullable for f in schema] == [field.nullable for field in record.fields]


def test_types_are_the_widest_of_their_kind_and_times_are_microseconds_utc():
    reading = arrow_schema(load_contract("env_telemetry").record("reading"))
    assert reading.field("event_time").type == pa.timestamp("us", tz="UTC")
    assert reading.field("reading_id").type == pa.int64()
    assert reading.field("temperature").type == pa.float64()
    assert reading.field("motion").type == pa.bool_()
    assert reading.field("beyond_limits").type.value_type == pa.string()
    message = arrow_schema(load_contract().record("message"))
    assert message.field("payload").type == pa.binary()
    assert message.field("attributes").type.item_type == pa.string()


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_parquet_gives_the_same_schema_back(name):
    schema = arrow_schema(load_contract("env_telemetry").record(name))
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    assert pq.read_schema(pa.BufferReader(sink.getvalue())).equals(schema)


def test_elements_and_values_cannot_be_null():
    reading = arrow_schema(load_contract().record("reading"))
    assert not reading.field("beyond_limits").type.value_field.nullable
    message = arrow_schema(load_contract().record("message"))
    assert not message.field("attributes").type.item_field.nullable
