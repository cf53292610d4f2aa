"""Lines of a file: each byte in one line, whatever the chunks in which the file comes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eddyline.io.files.lines as module
from eddyline.io.files.lines import line_batches, lines_of
from eddyline.schemas.message import MESSAGE_SCHEMA, messages_of

TEXT = st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bc", b"\x00", b"\xff" * 9])).map(b"".join)
MIB = 2**20


class Chunks:
    """A file that gives its bytes in chunks of its own choice."""

    def __init__(self, content, sizes):
        self.content, self.sizes, self.at = content, sizes, 0

    def read(self, size):
        size = min(size, self.sizes[self.at % len(self.sizes)])
        self.at += 1
        chunk, self.content = self.content[:size], self.content[size:]
        return chunk


def lines(content, longest=module.LONGEST, sizes=(MIB,)):
    return list(lines_of(Chunks(content, sizes), longest))


@given(TEXT, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_lines_joined_are_the_file_whatever_the_chunks(content, sizes):
    found = lines(content, sizes=sizes)
    assert b"\n".join(found) == content.removesuffix(b"\n")
    assert not any(b"\n" in line for line in found)
    assert found == (content.removesuffix(b"\n").split(b"\n") if content else [])


@given(TEXT, st.integers(1, 12), st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_over_long_lines_come_in_pieces_whatever_the_chunks(content, longest, sizes):
    found = lines(content, longest, sizes)
    assert max(map(len, found), default=0) <= longest
    assert found == lines(content, longest)
    whole = [
        line[at : at + longest]
        for line in lines(content)
        for at in range(0, len(line) or 1, longest)
    ]
    assert found == whole


def test_a_chunk_of_the_file_may_end_anywhere(monkeypatch):
    content = b"one\ntwo\n\nthree"
    for chunk in range(1, len(content) + 1):
        monkeypatch.setattr(module, "CHUNK", chunk)
        assert list(lines_of(io.BytesIO(content))) == [b"one", b"two", b"", b"three"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"\n\n", [b"", b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb", [b"a\r", b"b"]),
        (b"a\x0bb\x0cc\x85d\xe2\x80\xa8e", [b"a\x0bb\x0cc\x85d\xe2\x80\xa8e"]),
    ],
)
def test_only_a_newline_ends_a_line(content, expected):
    assert lines(content) == expected


def batches(content, rows):
    return list(line_batches(io.BytesIO(content), "file.jsonl", 1_700_000_000_000_001, rows))


@given(TEXT, st.integers(1, 5))
def test_each_line_is_a_message_at_its_number(content, rows):
    found = batches(content, rows)
    messages = [message for batch in found for message in messages_of(batch)]
    assert [message.payload for message in messages] == lines(content)
    assert [message.position for message in messages] == [
        f"{number:012d}" for number in range(1, len(messages) + 1)
    ]
    assert {(m.source, m.arrival_time) for m in messages} <= {("file.jsonl", 1_700_000_000_000_001)}
    assert all(message.attributes == {} for message in messages)
    for batch in found:
        batch.validate(full=True)
        assert batch.schema.equals(MESSAGE_SCHEMA)
    assert [batch.num_rows for batch in found[:-1]] == [rows] * (len(found) - 1)


def test_large_lines_fill_a_batch_before_its_rows_do():
    content = b"\n".join([b"x" * 3 * MIB] * 7)
    assert [batch.num_rows for batch in batches(content, 500)] == [3, 3, 1]


def test_a_line_beyond_all_bounds_is_read_in_pieces():
    found = batches(b"first\n" + b"x" * 70 * MIB + b"\nlast", 500)
    sizes = [len(message.payload) for batch in found for message in messages_of(batch)]
    assert sizes == [5, 32 * MIB, 32 * MIB, 6 * MIB, 4]
