"""Event alarm: something new happens now. A burst is told once and a habit is told less."""

import math

import numpy as np
from numba import njit

FORGET = 2.0 ** (-1.0 / 4000.0)
QUIET = 120.0
"""Readings after which the record falls."""
QUIET_TIME = 3 * 3_600_000_000
"""Microseconds that must have passed as well: fast sensors have many readings in a trouble."""


@njit(cache=True)
def event_alarm(
    bits: float,
    peak: float,
    age: float,
    since: float,
    habit: float,
    elapsed: np.int64,
    threshold: float,
) -> tuple[bool, float, float, float, float]:
    """Filter event scores for records: (alarm, peak, age, since, habit).

    An alarm needs a score above the record `peak` (+.25) of the last 120 readings and 3 hours, and
    `threshold` bits or more after ½ log2(1 + habit) is taken off: `habit` counts the records of
    3 bits or more at least 50 readings apart and halves every 4,000 readings, so a device that does
    odd things daily has to do odder ones.

    Args:
        bits: Event score of this reading.
        peak: Highest score since the record fell, −inf for none.
        age: Readings since the record.
        since: Readings since one was counted in `habit`.
        habit: Records counted.
        elapsed: Microseconds since the record.
        threshold: Bits that make an alarm.
    """
    age += 1.0
    since += 1.0
    habit *= FORGET
    if age > QUIET and elapsed >= QUIET_TIME:
        peak = -math.inf
    if bits <= peak + 0.25:
        return False, peak, age, since, habit
    above = bits - 0.5 * math.log2(1.0 + habit)
    if bits >= 3.0 and since > 50.0:
        habit += 1.0
        since = 0.0
    return above >= threshold, bits, 0.0, since, habit
