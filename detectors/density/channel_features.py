"""The signs of one channel, each an O(1) step: what is odd about this reading, then learn it.

Every step is a pure function of this reading and what was learned from the readings before it. It
answers the feature first and the renewed state after it; deviations are measured in robust units
(mean absolute deviation × 1.2533, the factor that makes it a standard deviation for a Gaussian).
Compiled by numba; `.py_func` of each is the same source uncompiled, its own reference.
"""

import math

from numba import njit

GAUSS = 1.2533
"""√(π/2): mean absolute deviation to standard deviation."""
MEMORY = 4000.0
"""Readings a slow average remembers."""
STUCK_EXPONENT = 8.0
"""A run that one in 10^8 would reach, were each reading drawn anew."""
STUCK_TIMES = 2.0
STUCK_LEAST = 12.0
"""Readings below which no run is long."""


@njit(cache=True)
def rate(seen: float, window: float) -> float:
    """Weight of the next reading in an average: all readings first, then the last `window`.

    max(1/(n + 1), 1/window): an exact mean until `window` readings were seen, exponential after.

    Examples:
        >>> rate(0.0, 4000.0), rate(1e6, 4000.0)
        (1.0, 0.00025)
    """
    return max(1.0 / (seen + 1.0), 1.0 / window)


@njit(cache=True)
def quantum(change: float, step: float) -> float:
    """Learn the channel's smallest step, 0 while it has never moved.

    q = |dx| where smaller than every one before, else q += .01 (min(|dx|, 2q) − q): one lucky
    rounding is forgotten, a coarse sensor keeps its step.

    Examples:
        >>> quantum(0.5, 0.0), quantum(0.0, 0.5), quantum(-0.25, 0.5)
        (0.5, 0.5, 0.25)
    """
    size = abs(change)
    if size == 0.0:
        return step
    if step == 0.0 or size < step:
        return size
    return step + 0.01 * (min(size, 2.0 * step) - step)


@njit(cache=True)
def floor(value: float, step: float) -> float:
    """Smallest deviation that can mean anything: half a quantum, and the value's own rounding.

    .5 q + 1e-9 |x| + 1e-12. It keeps coarse and constant sensors from dividing by zero.
    """
    return 0.5 * step + 1e-9 * abs(value) + 1e-12


@njit(cache=True)
def place(value: float, low: float, high: float) -> tuple[float, float]:
    """Where the value stands in the range of those before it: (tight, wide), each in [0, 1].

    u = (x − lo)/(hi − lo), 0 to 1 inside the known range; tight = (u + ¼)/1.5, wide = (u + ½)/2,
    both clipped: the forest needs room for what was never seen, and limits that do not move.

    Examples:
        >>> place(5.0, 0.0, 10.0)
        (0.5, 0.5)
        >>> place(1e9, 0.0, 10.0)
        (1.0, 1.0)
    """
    span = high - low
    if span <= 0.0:
        span = 1.0
    u = (value - low) / span
    return min(max((u + 0.25) / 1.5, 0.0), 1.0), min(max((u + 0.5) / 2.0, 0.0), 1.0)


@njit(cache=True)
def level(
    value: float, mean: float, spread: float, hold: float, seen: float, least: float, memory: float
) -> tuple[float, float, float, float]:
    """Deviation from the slow mean, in robust deviations: (zl, mean, spread, hold).

    S = 1.2533 s + floor, zl = (x − m)/S, 0 for the first readings. Beyond 20 readings |zl| > 3
    counts as 3 when it is learned, so a fault moves its own yardstick little; after more than
    2,000 such readings the rate is tenfold: a real new regime is accepted in bounded time.
    """
    if seen == 0.0:
        return 0.0, value, 0.0, 0.0
    scale = GAUSS * spread + least
    deviation = value - mean
    z = deviation / scale
    a = rate(seen, memory)
    if seen > 20.0 and abs(z) > 3.0:
        deviation = math.copysign(3.0 * scale, deviation)
        hold = min(hold + 1.0, 60000.0)
    elif hold > 0.0:
        hold -= 1.0
    if hold > 0.5 * memory:
        a = min(10.0 * a, 1.0)
    mean += a * deviation
    spread += a * (abs(deviation) - spread)
    if seen <= 5.0:
        z = 0.0
    return z, mean, spread, hold


@njit(cache=True)
def innovation(
    value: float,
    reference: float,
    spread: float,
    skipped: float,
    z_level: float,
    seen: float,
    least: float,
    memory: float,
) -> tuple[float, float, float, float]:
    """Deviation from the recent past, in robust deviations: (zi, reference, spread, skipped).

    SI = 1.2533 si √(1 + skip) + floor, zi = |x − lev|/SI. Beyond 20 readings zi > 12 freezes the
    reference and counts skip, so all of a burst is measured from before it; √(1 + skip) widens
    what is expected as a random walk does. A frozen reference lets go when the value is back, or
    after 3 readings where the slow level says that this is a usual value (|zl| < 1.5).
    """
    if seen == 0.0:
        return 0.0, value, 0.0, 0.0
    root = math.sqrt(1.0 + skipped)
    error = value - reference
    z = abs(error) / (GAUSS * spread * root + least)
    usual = skipped >= 3.0 and abs(z_level) < 1.5
    if seen > 20.0 and z > 12.0 and not usual:
        return z, reference, spread, min(skipped + 1.0, 60000.0)
    size = min(abs(error), 12.0 * (spread + least)) / root
    spread += rate(seen, memory) * (size - spread)
    reference += error * (0.7 if skipped == 0.0 else 1.0)
    return z, reference, spread, 0.0


@njit(cache=True)
def volatility(
    change: float, slow: float, fast: float, seen: float, least: float, memory: float
) -> tuple[float, float, float]:
    """Recent size of the steps over their usual size: (vr, slow, fast).

    sd += a (min(|dx|, 6 SD) − sd) with SD = 1.2533 sd + floor, vf remembers 10 readings;
    vr = vf/(sd + floor), 0 for the first 20 readings.
    """
    size = abs(change)
    slow += rate(seen, memory) * (min(size, 6.0 * (GAUSS * slow + least)) - slow)
    fast += rate(seen, 10.0) * (size - fast)
    ratio = fast / (slow + least) if seen > 20.0 else 0.0
    return ratio, slow, fast


@njit(cache=True)
def structure(local: float, whole: float) -> tuple[float, float]:
    """How far the last reading tells the next: (weight of the innovation, weight of the level).

    r = usual innovation/usual deviation from the level; the weights are max(1 − r, 0) and
    (r − .7)/.3 clipped to [0, 1]. Where readings follow each other slowly r is near 0 and an
    innovation is news of its own. Where each is drawn anew r is 1 or more: then the innovation only
    adds the noise of the reading before, and the level counts in its place.

    Examples:
        >>> structure(0.1, 1.0), structure(1.2, 1.0)
        ((0.9, 0.0), (0.0, 1.0))
    """
    r = local / whole
    return max(1.0 - r, 0.0), min(max((r - 0.7) / 0.3, 0.0), 1.0)


@njit(cache=True)
def stuck(
    change: float, step: float, run: float, longest: float, same: float, seen: float, memory: float
) -> tuple[float, float, float, float, float]:
    """How unlikely it is that the value has not moved for so long: (st, sk, run, longest, same).

    st = run · −log10(p) − 1, not below 0: p is the channel's own share of readings that equal
    the one before (.01 to .999), not learned while the run is 100 or longer. So st + 1 is the
    exponent of the run's chance, were each reading drawn anew. They are not: calm hours have long
    runs. So sk = min((st + 1)/8, run/(2 longest)), with 6 for the longest at least: 1 where the
    run is also twice as long as any that has ended. 0 while the channel has never moved.
    """
    if seen == 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    sign = 0.0
    long = 0.0
    if change == 0.0:
        run += 1.0
        if step > 0.0:
            exponent = -run * math.log10(min(max(same, 0.01), 0.999))
            sign = max(exponent - 1.0, 0.0)
            long = min(exponent / STUCK_EXPONENT, run / max(STUCK_TIMES * longest, STUCK_LEAST))
    else:
        longest = max(longest, run)
        run = 0.0
    if run < 100.0:
        same += rate(seen, memory) * ((1.0 if change == 0.0 else 0.0) - same)
    return sign, long, run, longest, same


@njit(cache=True)
def squash(z: float, width: float) -> float:
    """Map a deviation to (0, 1): ½ + atan(z/width)/π, ½ where all is as expected.

    Examples:
        >>> squash(0.0, 8.0), squash(8.0, 8.0)
        (0.5, 0.75)
    """
    return 0.5 + math.atan(z / width) / math.pi


@njit(cache=True)
def squash_ratio(ratio: float) -> float:
    """Map a ratio to [0, 1): r/(r + 1.5).

    Examples:
        >>> squash_ratio(1.5)
        0.5
    """
    return ratio / (ratio + 1.5)
