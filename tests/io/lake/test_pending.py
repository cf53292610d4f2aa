import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.lake.pending import Numbered, Pending

FILES = st.lists(st.binary(max_size=20), max_size=5)


@given(st.lists(st.tuples(FILES, st.integers(0, 30))))
def test_numbers_ascend_without_gaps_whatever_is_forgotten(steps):
    pending, given_numbers = Pending(), []
    for files, settled in steps:
        before = pending.next
        pending = Pending.decode(pending.number(files, "p").encode())
        given_numbers += range(before, pending.next)
        pending = pending.without(settled)
        assert all(entry.number > settled for entry in pending.files)
    assert given_numbers == list(range(1, pending.next))


def test_a_number_that_is_durable_waits_for_a_lower_one_that_is_not():
    pending = Pending().number([b"a", b"b", b"c"], "p")
    assert pending.due(lambda entry: entry.number != 1) == ()


def test_a_job_keeps_the_name_its_first_file_gave():
    first = Pending().number([b"a"], "p")
    assert first.number([b"b"], "q").job == first.job
    assert Pending().number([b"a"], "another attempt").job == first.job
    assert Pending().number([b"b"], "p").job != first.job


def test_nothing_numbered_is_still_a_new_job():
    assert Pending().number([], "p") == Pending()
    assert Pending.decode(None) == Pending()


def test_the_bytes_of_version_1_decode():
    golden = b'[1, "ca978112ca1bbdca", 3, [[2, "7-ab", "\\u0000\\u00ff"]]]'
    pending = Pending("ca978112ca1bbdca", 3, (Numbered(2, "7-ab", b"\x00\xff"),))
    assert Pending.decode(golden) == pending
    assert pending.encode() == golden


def test_bytes_of_a_later_version_are_refused():
    with pytest.raises(ValueError, match="version 2"):
        Pending.decode(b'[2, "later"]')
