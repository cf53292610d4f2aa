from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.sources.columns import MAX_BYTES, Columns
from eddyline.schemas.message import Message, message_batch, messages_of

messages = st.builds(
    Message,
    st.binary(max_size=20),
    st.text(max_size=5),
    st.text(max_size=5),
    st.integers(0, 2**50),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)


def columns_of(given):
    columns = Columns()
    for m in given:
        columns.add(m.payload, m.source, m.position, m.arrival_time, m.attributes)
    return columns


@given(st.lists(messages, max_size=30), st.integers(1, 12))
def test_batches_hold_the_messages_in_their_order(given, rows):
    batches = list(columns_of(given).batches(rows))
    assert [m for batch in batches for m in messages_of(batch)] == given
    assert all(0 < batch.num_rows <= rows for batch in batches)
    assert all(batch.schema == message_batch([]).schema for batch in batches)


def test_large_payloads_make_small_batches():
    half = Message(bytes(MAX_BYTES // 2), "s", "1", 0)
    batches = list(
        columns_of([half] * 5 + [Message(bytes(2 * MAX_BYTES), "s", "2", 0)]).batches(500)
    )
    assert [batch.num_rows for batch in batches] == [2, 2, 1, 1]
