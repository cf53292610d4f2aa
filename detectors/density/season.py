"""What the channel does at this hour of the day."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density.channel_features import GAUSS, rate
from eddyline.detectors.density.pace import Pace

HOURS = 24
HOUR = 3_600_000_000
"""Microseconds."""
ONE_DAY = 0.25
EXACT = 60.0
"""Readings that a bin's counter counts one by one."""
NO_TIME = np.iinfo(np.int64).min
"""The event time of readings that have none (numpy's NaT): no season, no hours."""


@njit(cache=True)
def hour_of_day(event_time: int) -> float:
    """Hour of the UTC day, 0 to 24, of microseconds since the epoch; also before 1970.

    Examples:
        >>> hour_of_day(5_400_000_000), hour_of_day(-3_600_000_000)
        (1.5, 23.0)
    """
    return (event_time % (24 * HOUR)) / HOUR


@njit(cache=True)
def expected_at(hour: float, means: NDArray[np.float32], counts: NDArray[np.uint8]) -> float:
    """Expected value at this hour, linear between the centres of two bins; NaN: not known yet.

    A bin is known once it and its neighbour have more than 3 readings each.
    """
    place = hour - 0.5
    left = math.floor(place)
    part = place - left
    before = int(left) % HOURS
    after = (before + 1) % HOURS
    if counts[before] <= 3 or counts[after] <= 3:
        return math.nan
    return (1.0 - part) * np.float64(means[before]) + part * np.float64(means[after])


@njit(cache=True)
def surprise_at_hour(z_level: float, z_season: float, expected: float, days: bool) -> float:
    """Deviations that count, ≥ 0: from the level or from this hour's usual value, the smaller.

    What is usual at this hour is no news, however far from the level of the whole day. While the
    hour is of one day only, what it holds may all be the trouble of today: then at least a quarter
    of the deviation from the level counts.

    Examples:
        >>> surprise_at_hour(-12.0, 1.0, 20.0, True), surprise_at_hour(-12.0, 1.0, 20.0, False)
        (1.0, 3.0)
        >>> surprise_at_hour(-12.0, 0.0, math.nan, True)
        12.0
    """
    away = abs(z_level)
    if math.isnan(expected):
        return away
    return min(away, max(abs(z_season), 0.0 if days else ONE_DAY * away))


@njit(cache=True)
def season(
    value: float,
    hour: float,
    expected: float,
    means: NDArray[np.float32],
    counts: NDArray[np.uint8],
    spread: float,
    seen: float,
    least: float,
    pace: Pace,
) -> tuple[float, float]:
    """Deviation from what is expected at this hour: (zs, spread); learns the hour's bin in place.

    zs = (x − expected)/(1.2533 sB + floor), 0 while the hour is not known. A bin remembers 60
    readings, or 5 days where these are more: else a fault would be usual within its first hour.
    What is learned is clipped at 3 deviations once the hour is known; before that sB
    learns from the bin alone, else it would begin at nothing and clip itself there.
    """
    here = int(hour) % HOURS
    count = np.float64(counts[here])
    mean = np.float64(means[here]) if count > 0.0 else value
    z = 0.0
    deviation = value - mean
    if not math.isnan(expected):
        scale = GAUSS * spread + least
        z = (value - expected) / scale
        deviation = min(max(value - expected, -3.0 * scale), 3.0 * scale)
    spread += rate(seen, pace.memory) * (abs(deviation) - spread)
    known = count if count <= EXACT else EXACT + (count - EXACT) * pace.readings
    whole = EXACT * pace.readings
    means[here] = mean + rate(known, whole) * deviation
    # One byte counts singly at first, then five minutes' worth at a time.
    if count < EXACT or (known < whole and count < 255.0 and seen % int(pace.readings) == 0.0):
        counts[here] = count + 1.0
    return z, spread
