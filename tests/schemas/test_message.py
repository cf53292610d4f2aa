"""Messages as a batch and back."""

from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.message import MESSAGE_SCHEMA, Message, message_batch, messages_of

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
MESSAGES = st.lists(
    st.builds(
        Message,
        payload=st.binary(max_size=20),
        source=TEXT,
        position=TEXT,
        arrival_time=st.integers(0, 253_402_300_799_999_999),
        attributes=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    max_size=8,
)


@given(MESSAGES)
def test_messages_come_back_from_a_batch_as_they_were(messages):
    batch = message_batch(messages)
    batch.validate(full=True)
    assert batch.schema.equals(MESSAGE_SCHEMA, check_metadata=True)
    assert messages_of(batch) == messages


@given(MESSAGES, st.integers(0, 8), st.integers(0, 8))
def test_a_slice_of_a_batch_holds_its_own_messages(messages, start, rows):
    batch = message_batch(messages).slice(start, rows)
    assert messages_of(batch) == messages[start : start + rows]


def test_messages_are_taken_from_any_iterable():
    assert message_batch(Message(b"", "", "", n) for n in range(3)).num_rows == 3
