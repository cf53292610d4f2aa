"""What is usual of each channel of a device: its mean, deviation, and how it moves."""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.kernel import buffer, field, given, kernel
from eddyline.detectors.layout import Layout

RECENT = 10.0
"""Readings that the recent size of changes is over."""
FIELDS = (
    ("seen", "<i8"),
    ("mean", "<f8"),
    ("variance", "<f8"),
    ("last", "<f8"),
    ("step", "<f8"),
    ("slow", "<f8"),
    ("fast", "<f8"),
)
"""Of each channel; 56 bytes."""
SEEN = 0
"""Values of the channel before this reading."""
MEAN = 1
DEVIATION = 2
"""With half the channel's smallest step added, so never 0."""
CHANGE = 3
"""From the last value; 0 at the first one."""
USUAL_CHANGE = 4
"""Mean size of its changes, with half the smallest step added."""
LEVEL_SIGN = 5
CHANGE_SIGN = 6
MOTION_SIGN = 7
COLUMNS = 8


def usual_layout(channels: int, device: tuple[tuple[str, str], ...] = ()) -> Layout:
    """Return how the models lie in memory; `device` names further fields, of the device.

    Examples:
        >>> usual_layout(3).dtype.itemsize
        168
    """
    return Layout(channels=channels, channel=FIELDS, device=device)


def observe_usual(
    window: int,
    channels: tuple[Channel, ...],
    state: NDArray[Any],
    device: NDArray[np.int32],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compare each reading with what was usual before it, then learn it; changes `state` in place.

    Any split of the rows into calls gives bit-identical rows and state.

    Args:
        window: Readings that mean, deviation and the usual change are over.
        channels: What the columns of `values` are.
        state: Of `usual_layout`.
        device: Row of `state` for each reading.
        values: NaN where missing, shape `[n, channels]`, C-contiguous.

    Returns:
        The columns above for each reading and channel, shape `[n, COLUMNS, channels]`; the change
        and the signs are 0 where the value is missing.

    Examples:
        >>> temperature = Channel("temperature", -40.0, 85.0)
        >>> state = usual_layout(1).new(1)
        >>> celsius = np.array([[20.0], [20.5], [20.0], [20.5], [70.0]])
        >>> rows = observe_usual(300, (temperature,), state, np.zeros(5, np.int32), celsius)
        >>> rows[4, [SEEN, MEAN, CHANGE], 0].tolist()
        [4.0, 20.25, 49.5]
        >>> rows[4, LEVEL_SIGN:, 0].round(2).tolist()
        [0.96, 0.94, 0.8]
    """
    about = np.empty((len(device), COLUMNS, len(channels)))
    least_step = np.array([0.0 if channel.kind == "double" else 1.0 for channel in channels])
    channel = state["channel"]
    observe_rows(
        window,
        least_step,
        channel["seen"],
        channel["mean"],
        channel["variance"],
        channel["last"],
        channel["step"],
        channel["slow"],
        channel["fast"],
        device,
        values,
        about,
    )
    return about


@kernel(
    types.void(
        types.int64,
        given(types.float64, 1),
        field(types.int64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        given(types.int32, 1),
        given(types.float64, 2),
        buffer(types.float64, 3),
    )
)
def observe_rows(
    window: int,
    least_step: NDArray[np.float64],
    seen: NDArray[np.int64],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    last: NDArray[np.float64],
    step: NDArray[np.float64],
    slow: NDArray[np.float64],
    fast: NDArray[np.float64],
    device: NDArray[np.int32],
    values: NDArray[np.float64],
    about: NDArray[np.float64],
) -> None:
    """Compare, then learn, row by row.

    Mean, variance and step move as those of `moving_average`. The slow mean size of changes is over
    the window, the fast one over 10 readings. The signs lie in (-1, 1) and are 0 where all is as
    usual: with f(z) = z / (4 + |z|),

        level = f((x - mean) / deviation)
        change = f((x - last) / usual change)
        motion = (fast - slow) / (fast + slow): -1 where it is stuck, above 0 where it is noisy

    `fast` is with this change, all else without. Only the four basic operations and the square
    root, so that compiled and uncompiled code agree to the bit.

    Args:
        window: In readings.
        least_step: Smallest change each channel can make, 0 where unknown.
        seen: Values of each channel, shape `[devices, channels]`, as the next six.
        mean: Moving means.
        variance: Moving variances.
        last: Last values.
        step: Smallest steps.
        slow: Mean size of the changes.
        fast: Mean size of the last changes.
        device: Row of each reading.
        values: Shape `[n, channels]`.
        about: Takes what `observe_usual` returns.
    """
    for row in range(device.size):
        d = device[row]
        for c in range(values.shape[1]):
            value = values[row, c]
            floor = 0.5 * max(step[d, c], least_step[c]) + 1e-9 * abs(mean[d, c]) + 1e-12
            deviation = np.sqrt(variance[d, c]) + floor
            usual_change = slow[d, c] + floor
            about[row, SEEN, c] = seen[d, c]
            about[row, MEAN, c] = mean[d, c]
            about[row, DEVIATION, c] = deviation
            about[row, USUAL_CHANGE, c] = usual_change
            if np.isnan(value):
                about[row, CHANGE, c] = 0.0
                about[row, LEVEL_SIGN, c] = 0.0
                about[row, CHANGE_SIGN, c] = 0.0
                about[row, MOTION_SIGN, c] = 0.0
                continue
            if seen[d, c] == 0:
                mean[d, c] = value
                last[d, c] = value
            # Two values near the ends of a double lie further apart than a double can say, and so
            # do squares: what is learned is bounded.
            away = min(max(value - mean[d, c], -1e150), 1e150)
            moved = min(max(value - last[d, c], -1e150), 1e150)
            size = abs(moved)
            # A first value is no change, and the first change is as usual as any.
            if seen[d, c] > 0:
                rate = 1.0 if seen[d, c] == 1 else 1.0 / RECENT
                fast[d, c] += rate * (size - fast[d, c])
            z = min(max(away / deviation, -1e12), 1e12)
            about[row, LEVEL_SIGN, c] = z / (4.0 + abs(z))
            z = min(max(moved / usual_change, -1e12), 1e12)
            about[row, CHANGE_SIGN, c] = z / (4.0 + abs(z))
            about[row, CHANGE, c] = moved
            difference = fast[d, c] - slow[d, c]
            about[row, MOTION_SIGN, c] = difference / (fast[d, c] + slow[d, c] + floor)
            if size > 0.0:
                smaller = step[d, c] == 0.0 or size < step[d, c]
                follow = step[d, c] + 0.01 * (min(size, 2.0 * step[d, c]) - step[d, c])
                step[d, c] = size if smaller else follow
            if seen[d, c] > 0:
                slow[d, c] += max(1.0 / seen[d, c], 1.0 / window) * (size - slow[d, c])
            last[d, c] = value
            rate = max(1.0 / (seen[d, c] + 1), 1.0 / window)
            mean[d, c] += rate * away
            variance[d, c] = (1.0 - rate) * (variance[d, c] + rate * away * away)
            seen[d, c] += 1
