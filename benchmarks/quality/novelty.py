"""Event scores as NAB's rules need them: a row scores only where it says something new.

NAB counts every row above the threshold, so a detector is judged by its alarms at all thresholds at
once. The density detector alarms at records of its event score, less what habituation takes off;
`novelty` is that value, from the detector's own step.
"""

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.sets import NO_TIME
from eddyline.detectors.density.event import FORGET, event_alarm

ALWAYS = 2**62
"""Microseconds since the last record, where rows have no times."""
LONG_AGO = 60_000.0


def novelty(bits: NDArray[np.float64], event_time: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, for each record among the event scores, what is compared with the alarm's threshold.

    An event alarm at threshold t is a row that is at least t here: the records and habituation
    themselves do not depend on the threshold. NaN everywhere else.

    Args:
        bits: The density detector's event scores of one device, from its first reading.
        event_time: Microseconds since the epoch, or `NO_TIME`.

    Examples:
        >>> minutes = np.arange(4) * 60_000_000
        >>> novelty(np.array([0.0, 3.0, 2.0, 4.5]), minutes).round(2).tolist()
        [0.0, 3.0, nan, 4.0]
    """
    found = np.full(len(bits), np.nan)
    peak, age, since, habit, peak_time = -math.inf, 0.0, LONG_AGO, 0.0, 0
    for row, (score, time) in enumerate(zip(bits.tolist(), event_time.tolist(), strict=True)):
        if math.isnan(score):
            continue
        used = habit * FORGET
        elapsed = ALWAYS if time == NO_TIME else time - peak_time
        record, peak, age, since, habit = event_alarm(
            score, peak, age, since, habit, elapsed, -math.inf
        )
        if record:
            peak_time = time
            found[row] = score - 0.5 * math.log2(1.0 + used)
    return found
