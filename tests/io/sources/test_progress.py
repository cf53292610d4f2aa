import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.sources.progress import UNKNOWN, Partition, Progress, ProgressCoder

partitions = st.builds(
    Partition,
    st.text(),
    st.integers(UNKNOWN, 2**60),
    st.booleans(),
    st.lists(st.text(max_size=3), max_size=2).map(tuple),
)
progresses = st.builds(
    Progress,
    st.dictionaries(st.text(max_size=3), partitions, max_size=5),
    st.integers(0, 2**40),
    st.integers(0, 99),
    st.booleans(),
)


@given(progresses)
def test_a_checkpoint_comes_back_as_it_was(progress):
    coder = ProgressCoder()
    again = coder.decode(coder.encode(progress))
    assert again == progress
    assert list(again.partitions) == list(progress.partitions)


def test_the_bytes_of_version_1_can_be_read():
    stored = (
        b'{"version":1,"progress":{"partitions":{"shardId-000000000000":'
        b'["AFTER_SEQUENCE_NUMBER:49",1767592800000000,true,[]],"shardId-000000000001":'
        b'["TRIM_HORIZON",-4611686018427387904,false,["shardId-000000000000"]]},'
        b'"messages":7,"lane":2,"done":false}}'
    )
    progress = ProgressCoder().decode(stored)
    assert ProgressCoder().encode(progress) == stored
    assert progress.partitions["shardId-000000000000"].ended
    assert progress.active == ["shardId-000000000001"]
    assert (progress.messages, progress.lane, progress.seen) == (7, 2, UNKNOWN)


def test_a_checkpoint_of_a_later_version_is_refused():
    with pytest.raises(ValueError, match="version 2"):
        ProgressCoder().decode(b'{"version":2,"progress":{}}')


def test_an_unread_partition_says_that_nothing_is_known():
    assert Progress({"a": Partition("", seen=9), "b": Partition("")}).seen == UNKNOWN
    assert Progress({"a": Partition("", seen=9), "b": Partition("", seen=7)}).seen == 7


def test_what_is_not_begun_yet_does_not_hold_the_watermark():
    waiting = Partition("", after=("a",))
    assert Progress({"a": Partition("", seen=9), "b": waiting}).seen == 9
