"""Detectors beside River: time a reading, size of the state, time of a record.

Run it as `python -m benchmarks.detectors`. Every number is from this one run on this one machine,
in CPU time, which other work on the machine disturbs least. River reads one of the fleet's devices,
score and learn.
"""

import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import anomaly, preprocessing

from eddyline.detectors.channel import Channel
from eddyline.detectors.protocol import Detector
from eddyline.detectors.registry import DETECTORS, make_detector

CHANNELS = (
    Channel("temperature", -40.0, 85.0, unit="°C"),
    Channel("humidity", 0.0, 100.0, unit="%"),
    Channel("pressure", 300.0, 1100.0, unit="hPa"),
)
DEVICES = 60
READINGS = 600
BATCH = 500
# A minute's readings of the fleet come together, as a shard sees them.
STEP = 10_000_000


class Readings(NamedTuple):
    """Rows as a detector takes them."""

    device: NDArray[np.int32]
    event_time: NDArray[np.int64]
    values: NDArray[np.float64]

    def part(self, start: int, end: int) -> "Readings":
        """Return the rows from start to before end."""
        return Readings(self.device[start:end], self.event_time[start:end], self.values[start:end])


def fleet_readings() -> Readings:
    """Return DEVICES times READINGS rows of rooms, in the order of time."""
    rng = np.random.default_rng(0)
    shape = (READINGS, DEVICES)
    phase = np.arange(READINGS)[:, None] / 300 + rng.uniform(0, 6, DEVICES)
    values = np.stack(
        [
            20 + 3 * np.sin(phase) + rng.normal(0, 0.2, shape),
            50 + 10 * np.cos(phase) + rng.normal(0, 1, shape),
            1013 + 0.05 * np.cumsum(rng.normal(size=shape), axis=0),
        ],
        axis=-1,
    ).reshape(-1, 3)
    device = np.tile(np.arange(DEVICES, dtype=np.int32), READINGS)
    return Readings(device, np.repeat(np.arange(READINGS) * STEP, DEVICES), values)


def fastest(work: Callable[[], object], times: int = 5) -> float:
    """Return the CPU seconds of the shortest of some runs."""
    spent: list[float] = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def river_microseconds(learned: bool, values: NDArray[np.float64]) -> tuple[float, int]:
    """Return River's time a reading and the size of its pickled state."""
    names = [channel.name for channel in CHANNELS]
    limits: Any = {channel.name: (channel.minimum, channel.maximum) for channel in CHANNELS}
    readings: list[Any] = [dict(zip(names, row, strict=True)) for row in values.tolist()]
    river: Any = (
        preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=42)
        if learned
        else anomaly.HalfSpaceTrees(seed=42, limits=limits)
    )
    river.learn_one(readings[0])

    def run() -> None:
        for reading in readings:
            river.score_one(reading)
            river.learn_one(reading)

    return fastest(run) / len(readings) * 1e6, len(pickle.dumps(river))


def detector_microseconds(detector: Detector, rows: Readings) -> dict[str, float]:
    """Return a detector's times in µs and sizes in bytes, after the rows have been learned once."""
    state = detector.new(DEVICES)
    detector.observe(state, *rows)
    count = len(rows.device)
    batches = [rows.part(start, start + BATCH) for start in range(0, count, BATCH)]

    def observe() -> None:
        for batch in batches:
            detector.observe(state, *batch)

    spent = fastest(observe)
    records = detector.encode_many(state)
    back = detector.new(DEVICES)
    sizes = [len(record) for record in records]
    return {
        "reading": spent / count * 1e6,
        "memory": state.dtype.itemsize,
        "record": float(np.mean(sizes)),
        "largest": max(sizes),
        "encode": fastest(lambda: detector.encode_many(state), 50) / DEVICES * 1e6,
        "decode": fastest(lambda: detector.decode_many(records, back), 50) / DEVICES * 1e6,
    }


START = """
import time
start = time.perf_counter()
import numpy as np
from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import make_detector
detector = make_detector("density", [Channel(name, 0.0, 1.0) for name in "abc"])
detector.observe(detector.new(1), np.zeros(1, np.int32), np.zeros(1, np.int64), np.ones((1, 3)))
print(time.perf_counter() - start)
"""


def start_seconds(cache: str, times: int) -> float:
    """Return the median seconds from a fresh process's first import to its first score."""
    settings = {**os.environ, "NUMBA_CACHE_DIR": cache}
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    told = [
        subprocess.run([sys.executable, "-c", START], env=settings, capture_output=True, check=True)
        for _ in range(times)
    ]
    return median(float(process.stdout) for process in told)


def main() -> None:
    """Print one line a detector, then how long a worker takes to its first score."""
    rows = fleet_readings()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{DEVICES} devices, {len(CHANNELS)} channels, batches of {BATCH}, score and learn")
    # River explains nothing, so what it is compared with has no anomaly to explain.
    river_like = {"threshold": 1.0}
    variants: list[tuple[str, dict[str, Any]]] = [
        (name, river_like if name == "half_space_trees" else {})
        for name in DETECTORS
        if name not in ("pretrained", "endpoint")  # of a model and a service: docs/models.md
    ]
    variants.append(("half_space_trees", {**river_like, "limits": "learned"}))
    for name, settings in variants:
        found = detector_microseconds(make_detector(name, CHANNELS, **settings), rows)
        print(
            f"{name:16s} {settings.get('limits', ''):8s} {found['reading']:6.2f} µs/reading, "
            f"memory {found['memory']:,} B, record {found['record']:,.0f} B "
            f"(largest {found['largest']:,}), "
            f"encode {found['encode']:.1f} + decode {found['decode']:.1f} µs/device"
        )
        if name == "half_space_trees":
            one_device = rows.values[::DEVICES]
            river, size = river_microseconds("limits" in settings, one_device)
            print(
                f"{'  River':25s} {river:6.2f} µs/reading, pickled {size:,} B: "
                f"{river / found['reading']:.0f} times the time, "
                f"{size / found['record']:.0f} times the bytes"
            )
    with tempfile.TemporaryDirectory() as cache:
        cold = start_seconds(cache, 1)
        print(f"worker start: {cold:.1f} s cold, {start_seconds(cache, 5):.1f} s from the cache")


if __name__ == "__main__":
    main()
