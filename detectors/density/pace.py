"""How often a device reports, and what follows for how long to remember and to wait.

A memory of 4,000 readings is two weeks of a reading every five minutes and eleven hours of one
every ten seconds: too short there to know a day. So what is about days is counted in readings of
the device's own cadence, and never in fewer than where a reading comes every five minutes or more.
"""

from typing import NamedTuple

from numba import njit

FIVE_MINUTES = 300e6
"""Microseconds, as all times here."""
DAY = 86_400e6
HOUR = 3_600e6
SECOND_DAY = 25.0
"""Hours since its first reading after which every hour a device has shown is of another day."""
REMEMBERED = 2.0
"""Days that slow averages remember at least."""
LEAST_MEMORY = 4000.0
FASTEST = 300.0
"""Readings in five minutes: beyond one a second nothing is remembered for longer."""
YOUNG = 0.4
YOUNG_DAYS = 2.0


class Pace(NamedTuple):
    """What the cadence of a device means for its steps."""

    readings: float
    """In five minutes, at least 1."""
    memory: float
    """Readings that slow averages remember."""
    patience: float
    """How many times as far a level must be away."""
    days: bool
    """Whether the device has shown more than a day, so that an hour is of other days too."""


@njit(cache=True)
def learn_cadence(cadence: float, elapsed: float, seen: float) -> float:
    """Follow the median of the time between two readings, in microseconds; 0 is not known yet.

    By factors, 2 for the first 50 readings and 1.05 then: a gap of years moves it as little as one
    of an hour. Readings of one and the same time say nothing.

    Examples:
        >>> learn_cadence(0.0, 60e6, 1.0), learn_cadence(80e6, 60e6, 2.0)
        (60000000.0, 40000000.0)
    """
    if elapsed <= 0.0:
        return cadence
    if cadence == 0.0:
        return elapsed
    factor = 2.0 if seen < 50.0 else 1.05
    return cadence * factor if elapsed > cadence else cadence / factor


@njit(cache=True)
def pace_of(cadence: float, seen: float, days: bool) -> Pace:
    """Return the pace of a device; without times that of a reading every five minutes.

    memory = 4,000 readings or 2 days. patience falls from 1.4 to 1 over the first 2 days: a
    level wanders with the day, and how far is not known before.

    Examples:
        >>> pace_of(600e6, 1000.0, True)
        Pace(readings=1.0, memory=4000.0, patience=1.0, days=True)
        >>> pace_of(10e6, 8640.0, False)
        Pace(readings=30.0, memory=17280.0, patience=1.2, days=False)
    """
    if cadence <= 0.0:
        return Pace(1.0, LEAST_MEMORY, 1.0, days)
    readings = min(max(FIVE_MINUTES / cadence, 1.0), FASTEST)
    memory = max(LEAST_MEMORY, REMEMBERED * DAY / FIVE_MINUTES * readings)
    shown = min(cadence * seen / (YOUNG_DAYS * DAY), 1.0)
    return Pace(readings, memory, 1.0 + YOUNG * (1.0 - shown), days)
