import importlib
import pkgutil
from types import FunctionType

import numpy as np
import pytest

import eddyline.detectors.density as package
from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Density
from eddyline.detectors.density import told as t
from eddyline.detectors.density.detector import _leaves, _room
from eddyline.detectors.density.state import DEVICE

MINUTE = 60_000_000
CHANNELS = (
    Channel("temperature", -40.0, 85.0, unit="°C"),
    Channel("humidity", 0.0, 100.0, unit="%"),
    Channel("pressure", 300.0, 1100.0, unit="hPa"),
)
# mean, amplitude of the day, noise, quantum
CLIMATE = ((20.0, 3.0, 0.15, 0.1), (50.0, 8.0, 0.6, 0.1), (1013.0, 1.5, 0.2, 0.01))


def _uncompiled():
    """The kernel with every step it calls as plain Python, down to the last."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    shadows = {module.__name__: dict(vars(module)) for module in modules}

    def plain(function):
        source = function.py_func
        return FunctionType(source.__code__, shadows[source.__module__], source.__name__)

    for shadow in shadows.values():
        for name, value in list(shadow.items()):
            if hasattr(value, "py_func"):
                shadow[name] = plain(value)
    return shadows["eddyline.detectors.density.kernel"]["observe"]


@pytest.fixture(scope="session")
def uncompiled_observe():
    """`observe(detector, state, device, time, values)` in uncompiled Python."""
    observe = _uncompiled()

    def run(detector, state, device, time, values):
        rows, channels = values.shape
        outputs = (
            np.empty(rows, np.uint8),
            np.empty(rows),
            np.empty(rows),
            np.empty(rows),
            np.empty(rows, np.uint8),
            np.empty(rows, np.uint8),
            np.empty((rows, channels, t.COLUMNS)),
        )
        leaves = _leaves(channels, detector.n_trees, detector.height, detector.seed)
        limits = np.array(
            [
                detector.condition_threshold,
                detector.persistence_threshold,
                detector.warm_up,
                _room(channels, detector.n_trees, detector.height),
            ]
        )
        observe(
            device,
            time,
            values,
            state["device"].view(DEVICE),
            state["channel"],
            state["mass"],
            *leaves,
            limits,
            np.tile(detector.thresholds, (len(state), 1)),
            *outputs,
        )
        return outputs

    return run


@pytest.fixture(scope="session")
def weather():
    """Make days of three channels with a daily cycle: (time, values [devices, n, 3])."""

    def make(devices, days, minutes=5, seed=1):
        rng = np.random.default_rng(seed)
        count = days * 24 * 60 // minutes
        time = np.arange(count) * minutes * MINUTE
        hour = time / (60 * MINUTE)
        values = np.empty((devices, count, 3))
        for device in range(devices):
            for c, (mean, amplitude, noise, quantum) in enumerate(CLIMATE):
                kicks = rng.normal(size=count)
                slow = np.convolve(kicks, 0.436 * 0.9 ** np.arange(60))[:count]
                days_amplitude = amplitude * (1 + 0.1 * rng.normal(size=days + 1))
                cycle = days_amplitude[(hour // 24).astype(int)] * np.sin(
                    (hour - rng.uniform(0, 24)) * np.pi / 12
                )
                value = mean + cycle + noise * (slow + 0.3 * rng.normal(size=count))
                values[device, :, c] = np.round(value / quantum) * quantum
        return time, values

    return make


@pytest.fixture(scope="session")
def detector():
    return Density(CHANNELS)


@pytest.fixture(scope="session")
def observe_fleet():
    """Run `values [devices, n, channels]` through fresh models, device after device."""

    def run(detector, time, values):
        devices, count, channels = values.shape
        state = detector.new(devices)
        scores = detector.observe(
            state,
            np.repeat(np.arange(devices, dtype=np.int32), count),
            np.tile(time, devices),
            values.reshape(-1, channels),
        )
        return state, scores

    return run
