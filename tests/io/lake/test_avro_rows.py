"""Arrow's columns as Avro's rows, beside what fastavro makes of the same rows."""

from io import BytesIO

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.lake.avro_rows import encode_rows, longs
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.message import Message, message_batch
from eddyline.schemas.record import load_contract

RECORD = fastavro.parse_schema(avro_schema(load_contract("room").record("message")))
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=200)
MESSAGES = st.lists(
    st.builds(
        Message,
        payload=st.binary(max_size=300),
        source=TEXT,
        position=TEXT,
        arrival_time=INT64,
        attributes=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    max_size=20,
)


def by_fastavro(messages):
    sink = BytesIO()
    for message in messages:
        fastavro.schemaless_writer(sink, RECORD, vars(message))
    return sink.getvalue()


@given(MESSAGES, st.data())
def test_messages_are_encoded_as_fastavro_does_whole_and_in_part(messages, data):
    batch = message_batch(messages)
    assert encode_rows(batch) == by_fastavro(messages)
    start = data.draw(st.integers(0, len(messages)))
    stop = data.draw(st.integers(start, len(messages)))
    assert encode_rows(batch.slice(start, stop - start)) == by_fastavro(messages[start:stop])


@given(st.lists(INT64))
def test_whole_numbers_of_every_length(values):
    sink = BytesIO()
    for value in values:
        fastavro.schemaless_writer(sink, "long", value)
    assert b"".join(longs(np.array(values, np.int64)).to_pylist()) == sink.getvalue()


def test_payloads_of_many_megabytes():
    messages = [Message(bytes(size), "s", "1", 0) for size in (20_000_000, 0, 5_000_000)]
    assert encode_rows(message_batch(messages)) == by_fastavro(messages)


def test_what_the_record_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="null in some row"):
        encode_rows(pa.RecordBatch.from_pydict({"a": ["x", None]}))
    with pytest.raises(TypeError, match="double"):
        encode_rows(pa.RecordBatch.from_pydict({"a": [1.5]}))
