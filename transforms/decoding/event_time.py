"""Event time: RFC 3339 or a number since the epoch, told apart safely."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Seconds of 1973-03 to 5138, milliseconds of 1973-03 to 5138 and microseconds of 1973-03 to 5138
# do not overlap, so the magnitude alone tells the unit.
_SECONDS, _MILLIS, _MICROS, _END = 1e8, 1e11, 1e14, 1e17


def to_micros(value: datetime | float) -> int:
    """Microseconds since the epoch.

    Args:
        value: A time with a zone, or a number: seconds from 1e8 up to 1e11, milliseconds up to
            1e14, microseconds up to 1e17.

    Raises:
        ValueError: The number is in none of these ranges. It is never guessed.

    Example:
        >>> [to_micros(value) for value in (1594598424, 1594598424.502, 1594598424502)]
        [1594598424000000, 1594598424502000, 1594598424502000]
        >>> to_micros(0)
        Traceback (most recent call last):
        ValueError: 0 is no time in seconds, milliseconds or microseconds since 1970
    """
    if isinstance(value, datetime):
        return (value - EPOCH) // _MICROSECOND
    if _SECONDS <= value < _MILLIS:
        return round(value * 1_000_000)
    if _MILLIS <= value < _MICROS:
        return round(value * 1_000)
    if _MICROS <= value < _END:
        return round(value)
    raise ValueError(f"{value} is no time in seconds, milliseconds or microseconds since 1970")


@dataclass(frozen=True)
class TimeBounds:
    """Which event times are believed.

    Args:
        earliest: Microseconds since the epoch; 1990 by default.
        future: How far, in microseconds, a reading may be ahead of its message's arrival.
    """

    earliest: int = 631_152_000_000_000
    future: int = 3_600_000_000

    def problem(
        self, event_time: int, arrival_time: int
    ) -> Literal["event_time_past", "event_time_future"] | None:
        """The reason code if the event time is not believed, else None.

        Example:
            >>> TimeBounds().problem(0, arrival_time=0)
            'event_time_past'
        """
        if event_time < self.earliest:
            return "event_time_past"
        if event_time > arrival_time + self.future:
            return "event_time_future"
        return None
