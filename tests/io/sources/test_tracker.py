import pytest

from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.tracker import ProgressTracker

START, LATER = Progress({"a": Partition("1")}), Progress({"a": Partition("2")}, messages=1)


def test_a_checkpoint_hands_on_what_was_not_claimed():
    tracker = ProgressTracker(START)
    assert tracker.try_claim(LATER)
    done, rest = tracker.try_split(0)
    assert rest == LATER
    assert done.done
    assert tracker.check_done()


def test_nothing_is_claimed_after_a_checkpoint():
    tracker = ProgressTracker(START)
    _, rest = tracker.try_split(0)
    assert not tracker.try_claim(LATER)
    assert rest == START


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_an_engine_cannot_split_it_elsewhere(fraction):
    tracker = ProgressTracker(START)
    assert tracker.try_split(fraction) is None
    assert tracker.try_claim(LATER)


def test_a_stream_that_is_left_without_a_checkpoint_is_an_error():
    with pytest.raises(ValueError, match="without a checkpoint"):
        ProgressTracker(LATER).check_done()


def test_a_source_that_has_ended_is_done_and_cannot_be_split():
    tracker = ProgressTracker(START)
    assert tracker.try_claim(Progress(done=True))
    assert tracker.check_done()
    assert tracker.try_split(0) is None


def test_its_work_has_no_end():
    assert not ProgressTracker(START).is_bounded()
