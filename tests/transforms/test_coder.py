"""The coder of batches: what comes out is what went in, and no more than that."""

import pyarrow as pa
import pytest
from apache_beam import coders
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.message import MESSAGE_SCHEMA, Message, message_batch
from eddyline.schemas.record import RECORD_NAMES, load_contract
from eddyline.transforms.coder import RecordBatchCoder

CODER = RecordBatchCoder()

VALUES = {
    pa.float64(): st.floats(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(codec="utf-8"), max_size=5),
    pa.binary(): st.binary(max_size=5),
    pa.timestamp("us", "UTC"): st.integers(0, 2**53),
    pa.list_(pa.string()): st.lists(st.text("ab", max_size=3), max_size=3),
}


@st.composite
def batches(draw):
    rows = draw(st.integers(0, 20))
    columns = {
        str(kind): pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
        for kind, values in VALUES.items()
    }
    return pa.RecordBatch.from_pydict(columns)


@given(batches(), st.integers(0, 20), st.integers(0, 20))
def test_a_batch_or_any_slice_of_it_comes_back(batch, start, rows):
    for value in (batch, batch.slice(start, rows)):
        back = CODER.decode(CODER.encode(value))
        back.validate(full=True)
        assert back.schema.equals(value.schema, check_metadata=True)
        assert back.to_pydict().keys() == value.to_pydict().keys()
        assert back.equals(value) or _has_nan(value)


def _has_nan(batch):
    return any(value != value for value in batch.column("double").to_pylist())


@pytest.mark.parametrize("record", RECORD_NAMES)
def test_no_rows_of_any_record_come_back_with_their_schema(record):
    schema = arrow_schema(load_contract("room").record(record))
    back = CODER.decode(CODER.encode(pa.RecordBatch.from_pylist([], schema)))
    assert back.num_rows == 0
    assert back.schema.equals(schema, check_metadata=True)


def test_a_batch_of_messages_comes_back():
    batch = message_batch([Message(b"\0\xff", "s", "1", 5, {"type": "x"}), Message(b"", "", "", 0)])
    assert CODER.decode(CODER.encode(batch)).equals(batch)
    assert CODER.decode(CODER.encode(batch.slice(1))).schema.equals(MESSAGE_SCHEMA)


def test_a_slice_takes_the_bytes_of_its_own_rows_only():
    batch = pa.RecordBatch.from_pydict({"text": ["x" * 1000] * 1000})
    assert len(CODER.encode(batch.slice(500, 1))) < 3000


def test_one_batch_gives_the_same_bytes_each_time():
    batch = message_batch([Message(b"{}", "s", "1", 5)])
    assert CODER.encode(batch) == CODER.encode(batch)


def test_it_is_the_coder_of_batches_and_of_no_key():
    assert isinstance(coders.registry.get_coder(pa.RecordBatch), RecordBatchCoder)
    assert CODER.to_type_hint() is pa.RecordBatch
    assert not CODER.is_deterministic()
    assert RecordBatchCoder() == CODER
    assert hash(RecordBatchCoder()) == hash(CODER)
