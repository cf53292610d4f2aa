"""Faults put into recorded readings, where the recordings themselves have no labels.

Each device is copied once a fault. The copy has up to six events, far apart, each in one channel,
in turn; what is injected is rounded to the channel's own smallest step, as its sensor would round
it. Everything a device did by itself stays in and counts as normal.
"""

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import sets
from benchmarks.quality.sets import DataSet, Device

Floats = NDArray[np.float64]

SOURCES = ("asnx", "eno_box", "env_telemetry")
EVENTS = 6
LEARNING = 300
"""Rows without events at the start: what the slowest detector warms up on."""
SHORTEST, LONGEST = 50, 300
"""Rows of an event; between them a twentieth of the device's rows."""
SMOOTHING = 11
"""Rows of the moving mean that is the signal; the rest is noise."""


def noise(values: Floats, start: int, end: int, factor: float) -> Floats:
    """Return the rows of an event with their noise (what a moving mean leaves) times `factor`.

    Examples:
        >>> noise(np.array([1.0, 2.0] * 20), 10, 13, 3.0).round(2).tolist()
        [-0.09, 3.09, -0.09]
    """
    half = SMOOTHING // 2
    padded = np.pad(values, half, mode="edge")
    signal = np.convolve(padded, np.full(SMOOTHING, 1.0 / SMOOTHING), mode="valid")
    return signal[start:end] + factor * (values[start:end] - signal[start:end])


def bias(values: Floats, start: int, end: int, deviations: float) -> Floats:
    """Return the rows of an event moved up by so many standard deviations of the channel."""
    return values[start:end] + deviations * values.std()


def ramp(values: Floats, start: int, end: int, deviations: float) -> Floats:
    """Return the rows of an event drifting up, by so many standard deviations at its end."""
    return values[start:end] + deviations * values.std() * np.linspace(0.0, 1.0, end - start)


FAULTS: dict[str, tuple[Callable[[Floats, int, int, float], Floats], float]] = {
    "noise_x2": (noise, 2.0),
    "noise_x5": (noise, 5.0),
    "bias_1.5sd": (bias, 1.5),
    "ramp_3sd": (ramp, 3.0),
}


def smallest_step(values: Floats) -> float:
    """Return the smallest difference between two values that occur, 0 where all are equal.

    Examples:
        >>> smallest_step(np.array([20.0, 20.5, 22.0, 20.0]))
        0.5
    """
    steps = np.diff(np.unique(values))
    return float(steps.min()) if len(steps) else 0.0


def inject(device: Device, channels: list[int], fault: str, seed: int) -> Device:
    """Return a copy of the device with events of one fault, its label true on their rows.

    Args:
        device: What was recorded.
        channels: Columns that may get an event, in turn.
        fault: A key of `FAULTS`.
        seed: Where inside its share of the rows each event lies; the same seed, the same places.
    """
    change, amount = FAULTS[fault]
    rows = len(device.event_time)
    length = int(np.clip(rows // 20, SHORTEST, LONGEST))
    # Each event has a share of the rows; a third of it at most is event, and none at its start.
    events = min(EVENTS, (rows - LEARNING) // (3 * length))
    values = device.values.copy()
    label = np.zeros(rows, np.bool_)
    places = np.random.default_rng((seed, zlib.crc32(f"{device.name} {fault}".encode())))
    share = (rows - LEARNING) // max(events, 1)
    for number in range(events):
        begin = LEARNING + number * share
        start = int(places.integers(begin + length, begin + share - length + 1))
        channel = channels[number % len(channels)]
        original = device.values[:, channel]
        changed = change(original, start, start + length, amount)
        step = smallest_step(original)
        values[start : start + length, channel] = np.round(changed / step) * step
        label[start : start + length] = True
    return device._replace(values=values, label=label)


def injected(source: str, fault: str, seed: int = 0) -> DataSet:
    """Return a recorded set with one fault in every device.

    Booleans and channels that never move get no fault.

    Raises:
        Missing: The files of the source are not here.
    """
    recorded = sets.env_telemetry() if source == "env_telemetry" else sets.load(source)
    devices: list[Device] = []
    for device in recorded.devices:
        channels = [
            column
            for column, channel in enumerate(recorded.channels)
            if channel.kind != "boolean" and smallest_step(device.values[:, column])
        ]
        devices.append(inject(device, channels, fault, seed))
    return DataSet(f"injected/{source}/{fault}", "rows", recorded.channels, tuple(devices))
