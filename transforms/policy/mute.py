"""Mute windows: times in which nobody is told, by the clock on the wall of a place."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from zoneinfo import ZoneInfo, available_timezones

from dateutil.rrule import rrule, rruleset, rrulestr

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_TIME = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?")
# A finer rule would be counted through from its start for each incident.
_UNTIL = re.compile(r"UNTIL=(\d{8}T\d{6})Z")
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")


class TimeOfDay(int):
    """Seconds since midnight, written as 22:00 or 22:00:30; 24:00 is the end of the day.

    Example:
        >>> TimeOfDay.of("22:30"), TimeOfDay.of("24:00")
        (81000, 86400)
        >>> TimeOfDay.of("10pm")
        Traceback (most recent call last):
        ValueError: '10pm' is no time of day: write it as 22:00
    """

    @classmethod
    def of(cls, written: object) -> "TimeOfDay":
        """The time of day that a file says."""
        if isinstance(written, str) and (parts := _TIME.fullmatch(written)):
            hour, minute, second = (int(part or 0) for part in parts.groups())
            seconds = hour * 3600 + minute * 60 + second
            if minute < 60 and second < 60 and seconds <= 86400:
                return cls(seconds)
        raise ValueError(f"{written!r} is no time of day: write it as 22:00")


class Days(frozenset[int]):
    """Days of the week, Monday is 0; written as [sat, sun] or mon-fri.

    Example:
        >>> sorted(Days.of("mon-wed")), sorted(Days.of(["sat", "sun"])), sorted(Days.of("fri-mon"))
        ([0, 1, 2], [5, 6], [0, 4, 5, 6])
        >>> Days.of(["Saturday"])
        Traceback (most recent call last):
        ValueError: 'Saturday' is no day: there are mon, tue, wed, thu, fri, sat, sun, and mon-fri
        for several
    """

    @classmethod
    def of(cls, written: object) -> "Days":
        """The days that a file says."""
        if not isinstance(written, list | str) or not written:
            raise ValueError("days as a list, such as [sat, sun], or mon-fri")
        found: set[int] = set()
        for part in written if isinstance(written, list) else written.split(","):
            first, dash, last = str(part).strip().partition("-")
            last = last if dash else first
            if first not in DAYS or last not in DAYS:
                raise ValueError(
                    f"{part!r} is no day: there are {', '.join(DAYS)}, and mon-fri for several"
                )
            start, end = DAYS.index(first), DAYS.index(last)
            found |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
        return cls(found)


def zone_of(written: object) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        ValueError: There is none of that name.

    Example:
        >>> zone_of("Europe/Zurich")
        zoneinfo.ZoneInfo(key='Europe/Zurich')
        >>> zone_of("Europe/Zürich")
        Traceback (most recent call last):
        ValueError: no time zone 'Europe/Zürich'; did you mean 'Europe/Zurich'?
    """
    try:
        return ZoneInfo(str(written))
    except (KeyError, ValueError, OSError):
        near = get_close_matches(str(written), available_timezones(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ": write it as Europe/Zurich"
        raise ValueError(f"no time zone {written!r}{hint}") from None


def moment_of(written: str, zone: ZoneInfo | None) -> datetime:
    """An instant of an ISO 8601 text; a text without an offset is by the clock of `zone`.

    Raises:
        ValueError: It is no time, or nothing says where.

    Example:
        >>> moment_of("2026-03-01T08:00", ZoneInfo("Europe/Zurich")).isoformat()
        '2026-03-01T07:00:00+00:00'
        >>> moment_of("2026-03-01T08:00", None)
        Traceback (most recent call last):
        ValueError: '2026-03-01T08:00' by which clock? Say zone: Europe/Zurich, or an offset, such
        as Z for UTC
    """
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{written!r} is no time: write it as 2026-03-01T08:00") from None
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(
                f"{written!r} by which clock? Say zone: Europe/Zurich, or an offset, such as Z "
                "for UTC"
            )
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


@dataclass(frozen=True)
class Weekly:
    """Some hours of some days, as long as the clock on the wall there shows them.

    A window from 22:00 to 06:00 belongs to the day on which it begins. Hours that the clock skips
    in spring are in no window; those that it shows twice in autumn are in it twice.

    Args:
        zone: Whose clock.
        days: Days on which it begins.
        start: From this time of day.
        end: Before this time of day; not after `start`: on the next day.

    Example:
        >>> nights = Weekly(ZoneInfo("Europe/Zurich"), Days.of("fri"), 22 * 3600, 6 * 3600)
        >>> nights.holds(datetime(2026, 1, 10, 4, 59, tzinfo=UTC)) # Saturday, 05:59 there
        True
        >>> nights.holds(datetime(2026, 1, 10, 5, 0, tzinfo=UTC))
        False
    """

    zone: ZoneInfo
    days: frozenset[int]
    start: int = 0
    end: int = 86400

    def holds(self, at: datetime) -> bool:
        """Whether the window is open at an instant."""
        local = at.astimezone(self.zone)
        time = local.hour * 3600 + local.minute * 60 + local.second
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        if self.start < self.end:
            return today in self.days and self.start <= time < self.end
        return (today in self.days and time >= self.start) or (
            yesterday in self.days and time < self.end
        )


@dataclass(frozen=True)
class Recurring:
    """Windows that begin by an iCalendar rule (RFC 5545) and last equally long.

    A beginning that the clock skips in spring is an hour later on it, one that it shows twice in
    autumn is the first of the two: as the RFC has it.

    Args:
        zone: Whose clock.
        rule: The RRULE, such as `FREQ=MONTHLY;BYDAY=1MO`.
        first: The rule's DTSTART by that clock, without a zone.
        duration: Seconds from a beginning to its end.

    Raises:
        ValueError: The rule is none, too fine, or never begins.

    Example:
        >>> monday = Recurring(
        ...     ZoneInfo("Europe/Zurich"), "FREQ=MONTHLY;BYDAY=1MO", datetime(2026, 1, 1, 8), 7200)
        >>> monday.holds(datetime(2026, 2, 2, 8, 59, tzinfo=UTC)) # 09:59 there
        True
        >>> monday.holds(datetime(2026, 2, 9, 8, 59, tzinfo=UTC))
        False
    """

    zone: ZoneInfo
    rule: str
    first: datetime
    duration: float

    def __post_init__(self) -> None:
        frequency = re.search(r"FREQ=(\w+)", self.rule.upper())
        if frequency is None or frequency[1] not in _FREQUENCIES or "\n" in self.rule:
            raise ValueError(
                f"rrule: one rule with FREQ={', '.join(_FREQUENCIES)}; for hours of a day say "
                "days, from and to"
            )
        if re.search(r"INTERVAL=(?!0*[1-9])", self.rule.upper()):  # dateutil would count for ever
            raise ValueError("rrule: INTERVAL is at least 1")
        if not isinstance(self._rule, rrule):
            raise ValueError("rrule: one rule, such as FREQ=MONTHLY;BYDAY=1MO")
        if next(iter(self._rule), None) is None:
            raise ValueError(f"rrule: {self.rule} begins on no day")

    def __reduce__(self) -> tuple[type["Recurring"], tuple[ZoneInfo, str, datetime, float]]:
        return Recurring, (self.zone, self.rule, self.first, self.duration)

    @cached_property
    def _rule(self) -> rrule | rruleset:
        try:
            # In a calendar's export UNTIL is in UTC; the rule is counted by the clock on the wall.
            rule = _UNTIL.sub(
                lambda until: f"UNTIL={self._local(until[1]):%Y%m%dT%H%M%S}", self.rule.upper()
            )
            return rrulestr(rule, dtstart=self.first, cache=True)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"rrule: {self.rule}: {error}") from None

    def _local(self, until: str) -> datetime:
        utc = datetime.strptime(until, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return utc.astimezone(self.zone)

    def holds(self, at: datetime) -> bool:
        """Whether a window is open at an instant."""
        local = at.astimezone(self.zone).replace(tzinfo=None)
        lasting = timedelta(seconds=self.duration)
        # A day more on both sides: the clock may have been changed in between.
        for beginning in self._rule.between(local - lasting - _DAY, local + _DAY, inc=True):
            start = beginning.replace(tzinfo=self.zone).astimezone(UTC)
            if start <= at < start + lasting:
                return True
        return False


@dataclass(frozen=True)
class Window:
    """When a mute window is open: from `start` to before `end`, and then as its calendar says.

    Args:
        start: The first instant; None for since ever.
        end: The first instant after it; None for without end.
        calendar: None for all the time.
    """

    start: datetime | None = None
    end: datetime | None = None
    calendar: Weekly | Recurring | None = None

    def holds(self, at: datetime) -> bool:
        """Whether the window is open at an instant.

        Example:
            >>> Window(end=datetime(2026, 1, 1, tzinfo=UTC)).holds(datetime(2026, 1, 1, tzinfo=UTC))
            False
        """
        return (
            (self.start is None or at >= self.start)
            and (self.end is None or at < self.end)
            and (self.calendar is None or self.calendar.holds(at))
        )
