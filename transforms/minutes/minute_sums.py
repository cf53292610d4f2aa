"""A minute's sums: parts that add up exactly, so that neither order nor batching can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from eddyline.detectors.kernel import given, kernel
from eddyline.schemas.channel import Channel

CHANNEL_SUMS = np.dtype(
    [
        ("count", "<i8"),
        ("fine", "<i8"),
        ("coarse", "<i8"),
        ("squares", "<i8"),
        ("smallest", "<f8"),
        ("largest", "<f8"),
        ("first", "<f8"),
        ("first_time", "<i8"),
        ("first_id", "<i8"),
        ("last", "<f8"),
        ("last_time", "<i8"),
        ("last_id", "<i8"),
    ]
)
DEVICE_SUMS = np.dtype([("readings", "<i8"), ("last_time", "<i8"), ("last_id", "<i8")])

_FINE, _COARSE = 40, 22
SHIFT = _FINE - _COARSE
_NEVER = -(2**63)
_ALWAYS = 2**63 - 1


@dataclass(frozen=True)
class Steps:
    """The integer steps in which a channel is summed.

    Floating-point sums depend on their order; sums of integers do not. For the mean a value is
    counted in fine steps, 2^-40 of the channel's physical range rounded up to a power of two
    (1.2e-10 °C for a room); for the deviation in coarse ones, 2^-22 of it (3e-5 °C). Then 65,536
    readings of a device in one minute fit 64 bits. What lies more than twice that range from its
    middle (`out_of_range: keep`) is summed as that bound; min, max, first and last stay exact.

    Args:
        middle: Middle of each channel's range, shape `[channels]`.
        size: Width of a fine step in the channel's unit, a power of two, shape `[channels]`.
    """

    middle: NDArray[np.float64]
    size: NDArray[np.float64]

    def of(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Fine steps of values, shape `[n, channels]`; 0 where a value is missing."""
        # Bounded before it is divided: what is kept may be as large as a double can be.
        limit = 2.0 ** (_FINE + 1) * self.size
        steps = np.rint(np.clip(values - self.middle, -limit, limit) / self.size)
        return np.nan_to_num(steps).astype(np.int64)


def steps_of(channels: Sequence[Channel]) -> Steps:
    """The steps of the declared channels.

    Example:
        >>> steps = steps_of([Channel("temperature", -40.0, 85.0)])
        >>> steps.of(np.array([[22.5], [22.5 + 128 / 2**40]])).tolist()
        [[0], [1]]
    """
    low = np.array([channel.minimum for channel in channels])
    high = np.array([channel.maximum for channel in channels])
    # A step is no smaller than the smallest normal double, which divides without a loss.
    exponent = np.maximum(np.ceil(np.log2(high - low)), _FINE - 1022)
    return Steps(low / 2 + high / 2, np.exp2(exponent - _FINE))


def new_sums(groups: int, channels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums of nothing: of the devices, shape `[groups]`, and of their channels."""
    devices = np.zeros(groups, DEVICE_SUMS)
    devices["last_time"] = _NEVER
    sums = np.zeros((groups, channels), CHANNEL_SUMS)
    sums["smallest"], sums["largest"] = np.inf, -np.inf
    sums["first_time"] = sums["first_id"] = _ALWAYS
    sums["last_time"] = sums["last_id"] = _NEVER
    return devices, sums


_DEVICES = types.Array(from_dtype(DEVICE_SUMS), 1, "C")
_SUMS = types.Array(from_dtype(CHANNEL_SUMS), 2, "C")
_GIVEN_DEVICES = types.Array(from_dtype(DEVICE_SUMS), 1, "C", readonly=True)
_GIVEN_SUMS = types.Array(from_dtype(CHANNEL_SUMS), 2, "C", readonly=True)


@kernel(
    types.void(
        given(types.int64, 1),
        given(types.int64, 1),
        given(types.int64, 1),
        given(types.float64, 2),
        given(types.int64, 2),
        _DEVICES,
        _SUMS,
    )
)
def add_readings(
    group: NDArray[np.int64],
    event_time: NDArray[np.int64],
    reading_id: NDArray[np.int64],
    values: NDArray[np.float64],
    steps: NDArray[np.int64],
    devices: Any,
    sums: Any,
) -> None:
    """Add readings to the sums of their groups, in place.

    Args:
        group: Row of `devices` and `sums` for each reading, shape `[n]`.
        event_time: Microseconds, shape `[n]`.
        reading_id: Breaks ties of first and last, shape `[n]`.
        values: NaN where missing, shape `[n, channels]`.
        steps: `Steps.of(values)`, shape `[n, channels]`.
        devices: `DEVICE_SUMS`, shape `[groups]`.
        sums: `CHANNEL_SUMS`, shape `[groups, channels]`.
    """
    for row in range(len(group)):
        g, time, identity = group[row], event_time[row], reading_id[row]
        device = devices[g]
        device.readings += 1
        if time > device.last_time or (time == device.last_time and identity > device.last_id):
            device.last_time, device.last_id = time, identity
        for channel in range(values.shape[1]):
            value = values[row, channel]
            if np.isnan(value):
                continue
            part = sums[g, channel]
            coarse = steps[row, channel] >> SHIFT
            part.count += 1
            part.fine += steps[row, channel]
            part.coarse += coarse
            part.squares += coarse * coarse
            part.smallest = min(part.smallest, value)
            part.largest = max(part.largest, value)
            if time < part.first_time or (time == part.first_time and identity < part.first_id):
                part.first, part.first_time, part.first_id = value, time, identity
            if time > part.last_time or (time == part.last_time and identity > part.last_id):
                part.last, part.last_time, part.last_id = value, time, identity


@kernel(types.void(given(types.int64, 1), _GIVEN_DEVICES, _GIVEN_SUMS, _DEVICES, _SUMS))
def add_sums(
    group: NDArray[np.int64], from_devices: Any, from_sums: Any, devices: Any, sums: Any
) -> None:
    """Add sums to sums: exact, in any order, with the same result. Changes the last two.

    Args:
        group: Row of `devices` and `sums` for each part, shape `[n]`.
        from_devices: `DEVICE_SUMS` of the parts, shape `[n]`.
        from_sums: `CHANNEL_SUMS` of the parts, shape `[n, channels]`.
        devices: As in `add_readings`.
        sums: As in `add_readings`.
    """
    for row in range(len(group)):
        device, part_device = devices[group[row]], from_devices[row]
        device.readings += part_device.readings
        time, identity = part_device.last_time, part_device.last_id
        if time > device.last_time or (time == device.last_time and identity > device.last_id):
            device.last_time, device.last_id = time, identity
        for channel in range(from_sums.shape[1]):
            total, part = sums[group[row], channel], from_sums[row, channel]
            total.count += part.count
            total.fine += part.fine
            total.coarse += part.coarse
            total.squares += part.squares
            total.smallest = min(total.smallest, part.smallest)
            total.largest = max(total.largest, part.largest)
            time, identity = part.first_time, part.first_id
            if time < total.first_time or (time == total.first_time and identity < total.first_id):
                total.first, total.first_time, total.first_id = part.first, time, identity
            time, identity = part.last_time, part.last_id
            if time > total.last_time or (time == total.last_time and identity > total.last_id):
                total.last, total.last_time, total.last_id = part.last, time, identity


def statistics(sums: NDArray[Any], steps: Steps) -> dict[str, NDArray[np.float64]]:
    """Mean, min, max, std, first and last, each of shape `[groups, channels]`; NaN for none.

    The mean lies within [min, max] and is the value itself where all are equal; the deviation is
    the population's.
    """
    none = sums["count"] == 0
    count = np.where(none, 1, sums["count"])
    mean = steps.middle + sums["fine"] / count * steps.size
    coarse = sums["coarse"] / count
    variance = np.maximum(sums["squares"] / count - coarse * coarse, 0.0)
    smallest, largest = sums["smallest"], sums["largest"]
    result = {
        "mean": np.clip(mean, smallest, np.maximum(smallest, largest)),
        "min": smallest,
        "max": largest,
        "std": np.where(smallest == largest, 0.0, np.sqrt(variance) * steps.size * 2.0**SHIFT),
        "first": sums["first"],
        "last": sums["last"],
    }
    return {name: np.where(none, np.nan, values) for name, values in result.items()}
