"""Two slow heads a channel: is it noisier than usual, has it gone away from its usual level?

They see what no single reading shows: a change that is small in each reading and lasts.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density.channel_features import GAUSS, MEMORY, rate

SHIFTS = 6
"""Bins of four hours, for noise that has its hours (a lift, an air conditioner)."""
NOISE_THRESHOLD = 1.1
LEVEL_THRESHOLD = 1.5


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
        means[shift] = mean + max(1.0 / (count + 1.0), SHIFTS / MEMORY) * own
        counts[shift] = min(count + 1.0, 60000.0)
    a = rate(seen, MEMORY)
    slow += a * error
    spread += a * (abs(error) - spread)
    return (z / scale if seen > 100.0 else 0.0), fast, slow, spread


@njit(cache=True)
def level_head(
    z_level: float, fast: float, slow: float, spread: float, seen: float
) -> tuple[float, float, float, float]:
    """How much farther than usual 30 readings are from the level: (lz, fast, slow, spread).

    l averages zl (clipped at 30) over 30 readings, y = log2(1 + |l|), LR and LD its slow average
    and deviation; lz = (y − LR)/(1.2533 LD + .3), 0 for the first 100 readings.
    """
    fast += rate(seen, 30.0) * (min(max(z_level, -30.0), 30.0) - fast)
    scale = GAUSS * spread + 0.3
    error = math.log2(1.0 + abs(fast)) - slow
    z = error / scale if seen > 100.0 else 0.0
    if seen > 50.0:
        error = min(max(error, -3.0 * scale), 3.0 * scale)
    a = rate(seen, MEMORY)
    slow += a * error
    spread += a * (abs(error) - spread)
    return z, fast, slow, spread


@njit(cache=True)
def heads_scale(channels: int) -> float:
    """Divisor of a device's heads: more channels, more chances; infinite above 8 channels.

    1 + .4 log2(max(1, channels/3)).
    """
    if channels > 8:
        return math.inf
    return 1.0 + 0.4 * math.log2(max(1.0, channels / 3.0))
