"""Event time: the unit is told by the size of the number, and never guessed."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.transforms.decoding.event_time import EPOCH, TimeBounds, to_micros

BEGIN = 10**14  # 1973-03-03, where each range begins
END = 4_294_967_296_000_000  # 2106: up to there a double of seconds tells each microsecond


@given(st.integers(BEGIN, END))
def test_a_microsecond_is_the_same_as_text_seconds_and_microseconds(micros):
    assert to_micros(EPOCH + timedelta(microseconds=micros)) == micros
    assert to_micros(micros / 1_000_000) == micros
    assert to_micros(micros) == micros


@given(st.integers(BEGIN // 1000, 10**14 - 1))
def test_a_millisecond_is_exact_up_to_the_year_5138(millis):
    assert to_micros(millis) == millis * 1000


@given(st.integers(BEGIN // 1000, END // 1000))
def test_a_millisecond_may_be_written_as_a_double(millis):
    assert to_micros(float(millis)) == millis * 1000


@given(st.integers(10**8, 10**11 - 1))
def test_a_second_is_exact_up_to_the_year_5138(seconds):
    assert to_micros(seconds) == to_micros(float(seconds)) == seconds * 1_000_000


@given(st.datetimes(), st.integers(-1439, 1439))
def test_any_zone_of_any_year_tells_the_same_moment(local, offset):
    there = local.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert to_micros(there) == to_micros(local.replace(tzinfo=UTC)) - offset * 60_000_000


@pytest.mark.parametrize(
    ("number", "year"),
    [
        (1e8, 1973),
        (10**11 - 1, 5138),
        (10**11, 1973),
        (10**14 - 1, 5138),
        (10**14, 1973),
        (10**17 - 1, 5138),
    ],
)
def test_each_range_goes_from_1973_to_5138(number, year):
    assert (EPOCH + timedelta(microseconds=to_micros(number))).year == year


@pytest.mark.parametrize(
    "number", [0, -1, 1, 99_999_999, 99_999_999.9, -1594598424, 1e17, 10**18, 10**400, 1e308]
)
def test_a_number_outside_of_the_ranges_is_refused(number):
    with pytest.raises(ValueError, match="no time in seconds, milliseconds or microseconds"):
        to_micros(number)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(ValueError, match="is no time"):
        to_micros(number)


def test_the_bounds_themselves_are_believed():
    bounds = TimeBounds(earliest=100, future=10)
    told = [bounds.problem(time, arrival_time=200) for time in (99, 100, 210, 211)]
    assert told == ["event_time_past", None, None, "event_time_future"]


def test_by_default_a_reading_may_be_from_1990_and_an_hour_ahead():
    arrival = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
    times = [
        datetime(1989, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1990, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 1, 0, 0, 1, tzinfo=UTC),
    ]
    told = [TimeBounds().problem(to_micros(time), arrival) for time in times]
    assert told == ["event_time_past", None, None, "event_time_future"]
