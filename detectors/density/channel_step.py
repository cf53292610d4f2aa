"""One channel's part of a reading: its signs, its points in the forests, and what it learns."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density import told as t
from eddyline.detectors.density.channel_features import (
    GAUSS,
    floor,
    innovation,
    level,
    place,
    quantum,
    squash,
    squash_ratio,
    structure,
    stuck,
    volatility,
)
from eddyline.detectors.density.heads import (
    DRIFT_THRESHOLD,
    LEVEL_THRESHOLD,
    NOISE_THRESHOLD,
    last_hour,
    level_head,
    noise_head,
)
from eddyline.detectors.density.own_scale import learn_habit, take_off
from eddyline.detectors.density.pace import Pace
from eddyline.detectors.density.season import expected_at, season, surprise_at_hour

MOSTLY_SAME = 0.8
"""Share of unchanged readings above which a channel has no noise head: any step is news there."""
TWO_VALUES = 1.5
"""Steps in the whole range up to which a channel only switches: it has no level to drift from."""
LARGEST = 1e30
"""Values are clipped to ± this, so that float32 arithmetic stays finite."""


@njit(cache=True)
def read_channel(
    channel: Any,
    raw: float,
    hour: float,
    shift: int,
    pace: Pace,
    share: float,
    c: int,
    points: NDArray[np.float64],
    about: NDArray[np.float64],
) -> tuple[float, float, float, float, float, float, bool]:
    """Return the channel's signs: (sudden, far, stuck, still, noise, away, suspicious).

    `sudden` and `far` are the innovation and the distance from the level in bits, less the
    channel's habit; `stuck` is the run's exponent; `still`, `noise` and `away` are heads that alarm
    at 1 in a device of up to 3 channels. All are computed from what was learned before; then the
    value is learned.

    Args:
        channel: A record of `state.CHANNEL`, changed in place.
        raw: The value, finite.
        hour: Of the day.
        shift: Four-hour bin of the day, −1 where the reading has no time: then no season.
        pace: Of the device.
        share: Of its habit that is taken off the channel.
        c: Number of the channel.
        points: Takes the channel's two features of each forest, `[3, 2 · channels]`.
        about: Takes the channel's row of `told`.
    """
    n = np.float64(channel["seen"])
    if n == 0.0:
        channel["origin"] = raw
    origin = np.float64(channel["origin"])
    x = np.float64(np.float32(min(max(raw - origin, -LARGEST), LARGEST)))
    step = np.float64(channel["step"])
    low = np.float64(channel["low"])
    high = np.float64(channel["high"])
    change = x - np.float64(channel["last"])
    least = floor(raw, step)

    about[t.VALUE] = raw
    about[t.STEP] = step
    about[t.LEVEL_MEAN] = origin + np.float64(channel["level"])
    about[t.LEVEL_SCALE] = GAUSS * np.float64(channel["level_spread"]) + least
    about[t.SEASON_SCALE] = GAUSS * np.float64(channel["season_spread"]) + least
    about[t.REFERENCE] = origin + np.float64(channel["reference"])
    about[t.REFERENCE_SCALE] = least + GAUSS * np.float64(channel["reference_spread"]) * math.sqrt(
        1.0 + np.float64(channel["skipped"])
    )

    tight, wide = place(x, low, high)
    zl, mean, spread, hold = level(
        x,
        np.float64(channel["level"]),
        np.float64(channel["level_spread"]),
        np.float64(channel["hold"]),
        n,
        least,
        pace.memory,
    )
    zs = zl
    expected = math.nan
    if shift >= 0:
        expected = expected_at(hour, channel["hours"], channel["hour_counts"])
        zs, season_spread = season(
            x,
            hour,
            expected,
            channel["hours"],
            channel["hour_counts"],
            np.float64(channel["season_spread"]),
            n,
            least,
            pace,
        )
        channel["season_spread"] = season_spread
    off = surprise_at_hour(zl, zs, expected, pace.days)
    zi, reference, reference_spread, skipped = innovation(
        x,
        np.float64(channel["reference"]),
        np.float64(channel["reference_spread"]),
        np.float64(channel["skipped"]),
        off,
        n,
        least,
        pace.memory,
    )
    ratio, slow, fast = volatility(
        change,
        np.float64(channel["steps_slow"]),
        np.float64(channel["steps_fast"]),
        n,
        least,
        pace.memory,
    )
    st, sk, run, longest, same = stuck(
        change,
        step,
        np.float64(channel["run"]),
        np.float64(channel["longest"]),
        np.float64(channel["same"]),
        n,
        pace.memory,
    )
    # At an end of its range a value rests (a light at night, a switch) or is saturated.
    still = sk if low < x < high else 0.0
    nz, noise_fast, noise_slow, noise_spread = noise_head(
        change,
        least,
        np.float64(channel["noise_fast"]),
        np.float64(channel["noise_slow"]),
        np.float64(channel["noise_spread"]),
        shift,
        channel["shifts"],
        channel["shift_counts"],
        n,
        pace.memory,
    )
    noise = nz / NOISE_THRESHOLD
    if same > MOSTLY_SAME:
        noise = 0.0
    lz, away_fast, away_slow, away_spread = level_head(
        zl,
        np.float64(channel["away_fast"]),
        np.float64(channel["away_slow"]),
        np.float64(channel["away_spread"]),
        n,
        pace,
    )
    zm, medium, medium_spread = last_hour(
        x,
        np.float64(channel["medium"]),
        np.float64(channel["medium_spread"]),
        n,
        least,
        pace,
    )
    dz, drift_fast, drift_slow, drift_spread = level_head(
        zm,
        np.float64(channel["drift_fast"]),
        np.float64(channel["drift_slow"]),
        np.float64(channel["drift_spread"]),
        n,
        pace,
    )
    away = max(lz / (LEVEL_THRESHOLD * pace.patience), dz / DRIFT_THRESHOLD)
    if high - low <= TWO_VALUES * step:
        away = 0.0

    moves = squash_ratio(ratio)
    points[0, 2 * c] = wide
    points[0, 2 * c + 1] = squash(zs, 8.0)
    points[1, 2 * c] = tight
    points[1, 2 * c + 1] = moves
    points[2, 2 * c] = squash(zl, 4.0)
    points[2, 2 * c + 1] = moves

    about[t.INNOVATION] = zi
    about[t.LEVEL] = zl
    about[t.SEASON] = zs
    about[t.STUCK] = st
    about[t.STILL] = still
    follows, stands = structure(about[t.REFERENCE_SCALE], about[t.LEVEL_SCALE])
    far = math.log2(1.0 + off)
    sudden = follows * math.log2(1.0 + zi) + stands * far
    habit, quiet = learn_habit(
        sudden + far,
        np.float64(channel["habit"]),
        np.float64(channel["quiet"]),
        n,
        pace.memory,
    )
    sudden = take_off(sudden, np.float64(channel["habit"]), share)
    far = take_off(far, np.float64(channel["habit"]), share)
    about[t.SUDDEN] = sudden
    about[t.FAR_BITS] = far
    about[t.VOLATILITY] = ratio
    about[t.NOISE] = noise
    about[t.AWAY] = away
    about[t.SEASON_MEAN] = origin + expected
    about[t.RUN] = run
    about[t.STEP_USUAL] = noise_slow
    about[t.STEP_NOW] = noise_fast
    about[t.FAR] = away_fast

    channel["last"] = x
    if n > 0.0:
        channel["step"] = quantum(change, step)
    channel["low"] = min(low, x)
    channel["high"] = max(high, x)
    channel["level"] = mean
    channel["level_spread"] = spread
    channel["hold"] = hold
    channel["reference"] = reference
    channel["reference_spread"] = reference_spread
    channel["skipped"] = skipped
    channel["steps_slow"] = slow
    channel["steps_fast"] = fast
    channel["run"] = run
    channel["same"] = same
    channel["longest"] = longest
    channel["noise_fast"] = noise_fast
    channel["noise_slow"] = noise_slow
    channel["noise_spread"] = noise_spread
    channel["away_fast"] = away_fast
    channel["away_slow"] = away_slow
    channel["away_spread"] = away_spread
    channel["medium"] = medium
    channel["medium_spread"] = medium_spread
    channel["drift_fast"] = drift_fast
    channel["drift_slow"] = drift_slow
    channel["drift_spread"] = drift_spread
    channel["habit"] = habit
    channel["quiet"] = quiet
    channel["seen"] = min(n + 1.0, 4e9)
    return sudden, far, st, still, noise, away, skipped > 0.0 or off > 6.0


@njit(cache=True)
def miss_channel(
    channel: Any, c: int, points: NDArray[np.float64], about: NDArray[np.float64]
) -> None:
    """A channel that is missing stands where it was last seen, as expected; it learns nothing.

    So readings without a channel that reports rarely fall in the same leaves as those with it.

    Args:
        channel: A record of `state.CHANNEL`.
        c: Number of the channel.
        points: Takes the channel's two features of each forest.
        about: Takes a value of NaN and no sign.
    """
    last = np.float64(channel["last"])
    tight, wide = place(last, np.float64(channel["low"]), np.float64(channel["high"]))
    moves = 0.0
    if channel["seen"] > 20:
        least = floor(last, np.float64(channel["step"]))
        moves = squash_ratio(
            np.float64(channel["steps_fast"]) / (np.float64(channel["steps_slow"]) + least)
        )
    points[0, 2 * c] = wide
    points[0, 2 * c + 1] = 0.5
    points[1, 2 * c] = tight
    points[1, 2 * c + 1] = moves
    points[2, 2 * c] = 0.5
    points[2, 2 * c + 1] = moves
    about[:] = 0.0
    about[t.VALUE] = math.nan


@njit(cache=True)
def usual_point(channel: Any, forest: int) -> tuple[float, float]:
    """The channel's two features in F1 (forest 0) or F2 where all is as usual."""
    tight, wide = place(
        np.float64(channel["level"]), np.float64(channel["low"]), np.float64(channel["high"])
    )
    if forest == 0:
        return wide, 0.5
    return tight, 0.4


@njit(cache=True)
def swap_point(
    point: NDArray[np.float64], c: int, other: tuple[float, float], kept: NDArray[np.float64]
) -> None:
    """Put `other` in the place of channel `c`'s two features and keep what stood there."""
    kept[0] = point[2 * c]
    kept[1] = point[2 * c + 1]
    point[2 * c] = other[0]
    point[2 * c + 1] = other[1]
