"""Waiting for a lake, by a clock of the test's own."""

import errno

import pytest

from eddyline.io.lake.patience import FIRST_WAIT, LONGEST_WAIT, LakeUnavailable, Patience
from eddyline.io.outages import OUTAGES, Outages

LAKE = "s3://b/lake"
FULL = OSError(errno.ENOSPC, "No space left on device")


class Clock:
    """A lake that refuses until a moment, and one who waits for it."""

    def __init__(self, until=float("inf"), error=FULL, patience=600.0):
        self.now, self.tries, self.until, self.error = 0.0, [], until, error
        self.outages = Outages(lambda: self.now)
        self.patience = Patience(patience, self.sleep, self.outages)

    def sleep(self, seconds):
        assert 0 <= seconds <= LONGEST_WAIT
        self.now += seconds

    def attempt(self):
        self.tries.append(self.now)
        if self.now < self.until:
            raise self.error
        return "taken"

    def write(self):
        return self.patience.outlast(LAKE, "write readings", self.attempt)


def test_an_outage_of_a_minute_is_outlasted_and_over_soon_after_its_end():
    clock = Clock(until=60)
    assert clock.write() == "taken"
    assert 60 <= clock.now <= 60 + LONGEST_WAIT
    waits = [later - sooner for sooner, later in zip(clock.tries, clock.tries[1:], strict=False)]
    assert waits[0] <= FIRST_WAIT
    assert max(waits) > LONGEST_WAIT / 2
    assert clock.outages.read() == ()


def test_a_lake_that_takes_it_is_asked_once_and_nothing_is_said(caplog):
    clock = Clock(until=0)
    assert clock.write() == "taken"
    assert (clock.tries, caplog.records) == ([0], [])


def test_the_last_attempt_is_made_at_the_end_of_the_patience():
    clock = Clock(until=45, patience=45)
    assert clock.write() == "taken"
    assert clock.tries[-1] == pytest.approx(45)


def test_after_the_patience_it_fails_with_what_to_do():
    clock = Clock(patience=30)
    with pytest.raises(LakeUnavailable) as told:
        clock.write()
    words = str(told.value)
    assert words.startswith(
        "the lake s3://b/lake refused to write readings for 30 s (No space left on device)."
    )
    assert "Make room on the disk" in words
    assert "--lake-patience" in words
    assert told.value.__cause__ is FULL
    assert clock.now == pytest.approx(30)
    assert clock.outages.read() == ()


def test_without_patience_the_error_itself_is_raised_at_once():
    clock = Clock(patience=0)
    with pytest.raises(OSError, match="No space left") as told:
        clock.write()
    assert told.value is FULL
    assert (clock.tries, clock.now) == ([0], 0)


@pytest.mark.parametrize("error", [OSError("AWS Error NO_SUCH_BUCKET during x"), ValueError("x")])
def test_what_does_not_pass_is_raised_at_once(error):
    clock = Clock(error=error)
    with pytest.raises(type(error)) as told:
        clock.write()
    assert told.value is error
    assert clock.tries == [0]


def test_what_does_not_pass_is_raised_also_after_a_wait():
    clock = Clock()
    errors = iter([FULL, FULL, OSError("AWS Error NO_SUCH_BUCKET during x")])

    def attempt():
        raise next(errors)

    with pytest.raises(OSError, match="NO_SUCH_BUCKET"):
        clock.patience.outlast(LAKE, "write readings", attempt)
    assert clock.outages.read() == ()


def test_a_process_has_one_place_for_whoever_looks():
    seen, errors = [], iter([FULL])

    def attempt():
        for error in errors:
            raise error

    patience = Patience(60.0, sleep=lambda _: seen.append(OUTAGES.read()))
    patience.outlast(LAKE, "write readings", attempt)
    assert seen[0][0][:2] == (f"the lake {LAKE}", "No space left on device")
    assert OUTAGES.read() == ()
