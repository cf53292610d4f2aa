"""Mute windows: by the clock on the wall, also on the days on which it is changed."""

# ruff: noqa: DTZ001 - what a clock on the wall shows has no zone
import pickle
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eddyline.transforms.policy.mute import (
    DAYS,
    Days,
    Recurring,
    TimeOfDay,
    Weekly,
    Window,
    zone_of,
)

ZURICH, LORD_HOWE, UTC_ZONE = map(ZoneInfo, ("Europe/Zurich", "Australia/Lord_Howe", "UTC"))
EVERY_DAY = frozenset(range(7))
HOUR = 3600
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
MINUTE = timedelta(minutes=1)


def minutes(calendar, day, zone=ZURICH, around=1):
    """How many minutes the window is open from the noon before a local day to the noon after it."""
    start = datetime(day.year, day.month, day.day, 12, tzinfo=zone).astimezone(UTC)
    start -= timedelta(days=around)
    return sum(calendar.holds(start + n * MINUTE) for n in range(1440 * around))


@pytest.mark.parametrize(("day", "expected"), [(SPRING, 0), (AUTUMN, 120), (date(2026, 6, 10), 60)])
def test_an_hour_that_is_skipped_or_shown_twice_is_muted_never_or_twice(day, expected):
    assert minutes(Weekly(ZURICH, EVERY_DAY, 2 * HOUR, 3 * HOUR), day) == expected


@pytest.mark.parametrize(
    ("day", "hours"), [(SPRING, 7), (AUTUMN, 9), (date(2026, 6, 10), 8), (date(2026, 1, 1), 8)]
)
def test_a_night_is_as_long_as_the_clock_makes_it(day, hours):
    assert minutes(Weekly(ZURICH, EVERY_DAY, 22 * HOUR, 6 * HOUR), day) == hours * 60


def test_a_clock_that_is_changed_by_half_an_hour_is_followed():
    half_past_one = Weekly(LORD_HOWE, EVERY_DAY, 3 * HOUR // 2, 2 * HOUR)
    assert minutes(half_past_one, date(2026, 4, 5), LORD_HOWE) == 60
    assert minutes(half_past_one, date(2026, 4, 6), LORD_HOWE) == 30


def test_the_same_hours_are_other_instants_in_summer():
    office = Weekly(ZURICH, Days.of("mon-fri"), 8 * HOUR, 17 * HOUR)
    assert not office.holds(datetime(2026, 1, 7, 6, 59, tzinfo=UTC))
    assert office.holds(datetime(2026, 1, 7, 7, 0, tzinfo=UTC))
    assert office.holds(datetime(2026, 7, 8, 6, 0, tzinfo=UTC))
    assert not office.holds(datetime(2026, 7, 8, 15, 0, tzinfo=UTC))


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_begins():
    friday = Weekly(ZURICH, Days.of(["fri"]), 22 * HOUR, 6 * HOUR)
    open_hours = [
        (at.astimezone(ZURICH).strftime("%a"), at.astimezone(ZURICH).hour)
        for n in range(7 * 24)
        if friday.holds(at := datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=n))
    ]
    assert open_hours == [("Fri", 22), ("Fri", 23), *(("Sat", hour) for hour in range(6))]


def test_whole_days_begin_and_end_at_midnight_there():
    weekend = Weekly(ZURICH, Days.of("sat,sun"))
    assert not weekend.holds(datetime(2026, 1, 9, 22, 59, tzinfo=UTC))
    assert weekend.holds(datetime(2026, 1, 9, 23, 0, tzinfo=UTC))
    assert weekend.holds(datetime(2026, 1, 11, 22, 59, tzinfo=UTC))
    assert not weekend.holds(datetime(2026, 1, 11, 23, 0, tzinfo=UTC))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    st.sets(st.sampled_from(range(7)), min_size=1),
    st.integers(0, 23),
    st.integers(1, 24),
    st.sampled_from([ZURICH, LORD_HOWE, UTC_ZONE, ZoneInfo("America/New_York")]),
)
@example(datetime(2026, 10, 25, 1, 30), {6}, 2, 3, ZURICH)
@example(datetime(2026, 10, 25, 0, 30), {5}, 22, 3, ZURICH)
def test_a_window_is_open_when_the_clock_shows_its_hours(at, days, start, end, zone):
    if start == end % 24:
        return
    at = at.replace(tzinfo=UTC)
    local = at.astimezone(zone)
    # The window's hours as a clock with its day shows them, written out.
    shown = {
        ((day + (start + n) // 24) % 7, (start + n) % 24)
        for day in days
        for n in range((end - start) % 24 or 24)
    }
    assert Weekly(zone, frozenset(days), start * HOUR, end * HOUR).holds(at) == (
        (local.weekday(), local.hour) in shown
    )


def monthly(rule="FREQ=MONTHLY;BYDAY=1MO", first=datetime(2026, 1, 1, 8), duration=2 * HOUR):
    return Recurring(ZURICH, rule, first, duration)


def test_a_recurring_window_begins_by_the_clock_on_the_wall_all_year():
    for day, hour in ((datetime(2026, 2, 2), 7), (datetime(2026, 7, 6), 6)):
        start = day.replace(hour=hour, tzinfo=UTC)
        assert not monthly().holds(start - MINUTE)
        assert monthly().holds(start)
        assert monthly().holds(start + 119 * MINUTE)
        assert not monthly().holds(start + 120 * MINUTE)


@pytest.mark.parametrize(
    ("day", "start"),
    [(SPRING, datetime(2026, 3, 29, 1, 30)), (AUTUMN, datetime(2026, 10, 25, 0, 30))],
)
def test_a_beginning_that_is_skipped_or_shown_twice_is_as_the_rfc_has_it(day, start):
    nightly = monthly("FREQ=DAILY", datetime(2026, 1, 1, 2, 30), HOUR // 2)
    assert minutes(nightly, day) == 30
    assert nightly.holds(start.replace(tzinfo=UTC))
    assert not nightly.holds(start.replace(tzinfo=UTC) - MINUTE)


def test_a_recurring_window_lasts_equally_long_whatever_the_clock_does():
    nightly = monthly("FREQ=DAILY", datetime(2026, 1, 1, 22), 8 * HOUR)
    assert [minutes(nightly, day) for day in (SPRING, AUTUMN)] == [480, 480]


def test_a_window_may_be_days_long():
    days = monthly("FREQ=MONTHLY", duration=72 * HOUR)
    begin = datetime(2026, 2, 1, 7, tzinfo=UTC)
    held = [days.holds(begin + timedelta(hours=n)) for n in (-1, 0, 50, 71, 72)]
    assert held == [False, True, True, True, False]


def test_windows_that_overlap_are_one():
    daily = monthly("FREQ=DAILY", datetime(2026, 1, 1, 8), 30 * HOUR)
    assert minutes(daily, date(2026, 2, 1)) == 1440


def test_until_may_be_utc_as_calendars_export_it():
    until = monthly("RRULE:FREQ=DAILY;UNTIL=20260105T070000Z", duration=HOUR)
    assert until.holds(datetime(2026, 1, 5, 7, 30, tzinfo=UTC))
    assert not until.holds(datetime(2026, 1, 6, 7, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "rule",
    ["", "every day", "FREQ=HOURLY", "FREQ=SECONDLY;COUNT=3", "FREQ=DAILY;INTERVAL=0",
     "FREQ=DAILY;BYDAY=XX", "FREQ=DAILY;EVERY=2", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
     "FREQ=DAILY;UNTIL=20200101T000000", "FREQ=DAILY;UNTIL=20269901T000000Z",
     "FREQ=DAILY\nRRULE:FREQ=WEEKLY"],
)  # fmt: skip
def test_a_rule_that_is_none_or_never_begins_is_refused(rule):
    with pytest.raises(ValueError, match="rrule"):
        monthly(rule)


def test_a_window_is_open_from_its_start_to_before_its_end():
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    window = Window(start, end)
    assert [window.holds(at) for at in (start - MINUTE, start, end - MINUTE, end)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert Window(start).holds(end + timedelta(days=9999))
    assert Window(end=end).holds(start - timedelta(days=9999))


def test_a_calendar_holds_only_within_start_and_end():
    window = Window(
        datetime(2026, 1, 7, tzinfo=UTC),
        datetime(2026, 1, 9, tzinfo=UTC),
        Weekly(UTC_ZONE, EVERY_DAY, 8 * HOUR, 9 * HOUR),
    )
    days = [d for d in range(5, 12) if window.holds(datetime(2026, 1, d, 8, tzinfo=UTC))]
    assert days == [7, 8]


@pytest.mark.parametrize("calendar", [Weekly(ZURICH, EVERY_DAY), monthly()])
def test_a_window_pickles(calendar):
    window = Window(calendar=calendar)
    assert pickle.loads(pickle.dumps(window)).holds(datetime(2026, 2, 2, 8, tzinfo=UTC))


@given(st.sets(st.sampled_from(DAYS), min_size=1))
def test_days_are_read_as_a_list_or_in_one_line(names):
    assert Days.of(sorted(names)) == Days.of(",".join(names)) == {DAYS.index(n) for n in names}


@pytest.mark.parametrize("written", ["", [], "monday", "mon-", "-fri", 3, None, ["mon", 2]])
def test_what_is_no_day_is_refused(written):
    with pytest.raises(ValueError, match="mon-fri"):
        Days.of(written)


@pytest.mark.parametrize("written", ["24:01", "12:60", "12", "8pm", 1320, None, "12:00:60"])
def test_what_is_no_time_of_day_is_refused(written):
    with pytest.raises(ValueError, match="write it as 22:00"):
        TimeOfDay.of(written)


@pytest.mark.parametrize("written", ["Mars", "", "../etc/passwd", "Europe", "/etc/localtime", 3])
def test_what_is_no_time_zone_is_refused(written):
    with pytest.raises(ValueError, match="no time zone"):
        zone_of(written)
