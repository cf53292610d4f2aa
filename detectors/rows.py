"""The rows a detector is given, brought into the form its kernels are compiled for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel


class Rows(NamedTuple):
    """Readings of a fleet: C-contiguous, native byte order."""

    device: NDArray[np.int32]
    event_time: NDArray[np.int64]
    values: NDArray[np.float64]


def check_rows(
    state: NDArray[Any],
    device: NDArray[np.int32],
    event_time: NDArray[np.int64],
    values: NDArray[np.float64],
    channels: Sequence[Channel],
) -> Rows:
    """Return the rows as kernels take them; compiled code checks no bounds, so this does.

    Args:
        state: The fleet, one row a device.
        device: Row of `state` for each reading, shape `[n]`.
        event_time: Microseconds since the epoch, shape `[n]`.
        values: NaN where missing, shape `[n, channels]`.
        channels: What the columns of `values` are.

    Raises:
        ValueError: The shapes do not agree, or a device is not a row of `state`.

    Examples:
        >>> temperature = Channel("temperature", -40.0, 85.0)
        >>> check_rows(np.zeros(2), [0, 2], [0, 1], [[20.0], [20.5]], [temperature])
        Traceback (most recent call last):
            ...
        ValueError: device: rows 0 to 2 in a fleet of 2
    """
    rows = Rows(
        np.ascontiguousarray(device, dtype=np.int32),
        np.ascontiguousarray(event_time, dtype=np.int64),
        np.ascontiguousarray(values, dtype=np.float64),
    )
    readings = len(rows.device)
    expected = {
        "device": ((readings,), rows.device.shape),
        "event_time": ((readings,), rows.event_time.shape),
        "values": ((readings, len(channels)), rows.values.shape),
    }
    for name, (wanted, found) in expected.items():
        if found != wanted:
            raise ValueError(f"{name}: shape {found} where {wanted} is needed")
    if readings and not (rows.device.min() >= 0 and rows.device.max() < len(state)):
        raise ValueError(
            f"device: rows {rows.device.min()} to {rows.device.max()} in a fleet of {len(state)}"
        )
    return rows
