"""Slow heads of a channel: is it noisier than usual, has it gone away from its usual level?

They see what no single reading shows: a change that is small in each reading and lasts.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density.channel_features import GAUSS, rate
from eddyline.detectors.density.pace import Pace

SHIFTS = 6
"""Bins of four hours, for noise that has its hours (a lift, an air conditioner)."""
NOISE_THRESHOLD = 1.1
LEVEL_THRESHOLD = 1.5
DRIFT_THRESHOLD = 1.75
HOUR = 300.0
"""Readings that a drift is compared with, about an hour at the least: 10 times the heads' own."""


@njit(cache=True)
def noise_head(
    change: float,
    least: float,
    fast: float,
    slow: float,
    spread: float,
    shift: int,
    means: NDArray[np.float32],
    counts: NDArray[np.uint16],
    seen: float,
    memory: float,
) -> tuple[float, float, float, float]:
    """How much noisier than usual the last 60 steps were: (nz, fast, slow, spread).

    g = log2(|dx| + floor), w its average over 60 readings, R and D the slow average and deviation
    of w; e = w − R, eb = w − B[bin] against the same four hours of other days;
    nz = min(e, eb)/(1.2533 D + .3), 0 for the first 100 readings. What is learned is clipped at
    3 deviations. `shift` −1: no time of day, no bins.
    """
    g = math.log2(abs(change) + least)
    fast += rate(seen, 60.0) * (g - fast)
    scale = GAUSS * spread + 0.3
    limit = 3.0 * scale
    error = fast - slow
    z = error
    if seen > 50.0:
        error = min(max(error, -limit), limit)
        z = error
    if shift >= 0:
        count = np.float64(counts[shift])
        mean = np.float64(means[shift])
        own = fast - mean
        if count > 20.0:
            if seen > 50.0:
                own = min(max(own, -limit), limit)
            z = min(z, own)
        means[shift] = mean + max(1.0 / (count + 1.0), SHIFTS / memory) * own
        counts[shift] = min(count + 1.0, 60000.0)
    a = rate(seen, memory)
    slow += a * error
    spread += a * (abs(error) - spread)
    return (z / scale if seen > 100.0 else 0.0), fast, slow, spread


@njit(cache=True)
def level_head(
    z_level: float, fast: float, slow: float, spread: float, seen: float, pace: Pace
) -> tuple[float, float, float, float]:
    """How much farther than usual 30 readings are from the level: (lz, fast, slow, spread).

    l averages zl (clipped at 30) over 30 readings or 5 minutes, y = log2(1 + |l|), LR and LD its
    slow average and deviation; lz = (y − LR)/(1.2533 LD + .3), 0 for the first 100 readings.
    """
    fast += rate(seen, max(30.0, pace.readings)) * (min(max(z_level, -30.0), 30.0) - fast)
    scale = GAUSS * spread + 0.3
    error = math.log2(1.0 + abs(fast)) - slow
    z = error / scale if seen > 100.0 else 0.0
    if seen > 50.0:
        error = min(max(error, -3.0 * scale), 3.0 * scale)
    a = rate(seen, pace.memory)
    slow += a * error
    spread += a * (abs(error) - spread)
    return z, fast, slow, spread


@njit(cache=True)
def last_hour(
    value: float, mean: float, spread: float, seen: float, least: float, pace: Pace
) -> tuple[float, float, float]:
    """Deviation from the last 300 readings, or 50 minutes: (z, mean, spread).

    For the level head of a drift: where a level wanders for days, its drift within the hour is far
    sooner known to be unusual than its distance. As for the level, z = (x − mean)/(1.2533 spread +
    floor), and what is learned is clipped at 3 deviations; the spread remembers for long.
    """
    if seen == 0.0:
        return 0.0, value, 0.0
    scale = GAUSS * spread + least
    deviation = value - mean
    z = deviation / scale
    if seen > 20.0:
        deviation = min(max(deviation, -3.0 * scale), 3.0 * scale)
    mean += rate(seen, max(HOUR, 10.0 * pace.readings)) * deviation
    return z, mean, spread + rate(seen, pace.memory) * (abs(deviation) - spread)


@njit(cache=True)
def heads_scale(channels: int) -> float:
    """Divisor of a device's heads: more channels, more chances.

    1 + .4 log2(max(1, channels/3)).
    """
    return 1.0 + 0.4 * math.log2(max(1.0, channels / 3.0))
