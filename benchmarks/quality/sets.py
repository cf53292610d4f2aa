"""The sets to judge detectors on, each as devices with times, values and what is known about them.

Sets of the shared data folder are read where they lie; where it is missing `load` says so. River's
sets are those that its package carries and that have anomalies: nothing is downloaded.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as pa_csv
from pyarrow import json as pa_json
from river import datasets

from eddyline.detectors.channel import Channel

DATA = (Path(__file__).parents[2] / ".." / "shared" / "data").resolve()
NO_TIME = np.iinfo(np.int64).min
"""Event time of rows that have none: numpy's NaT, as the detectors take it."""
UNKNOWN = 1e12
"""Limits of a channel about which nothing is known in advance; no value of any set reaches them."""

Judged = Literal["rows", "windows", "normal"]
"""By a label on every row, by anomaly windows (NAB), or by alarms where nothing is wrong."""


class Missing(Exception):
    """A set is not here; the message says why."""


class Device(NamedTuple):
    """One device's readings in order of event time."""

    name: str
    event_time: NDArray[np.int64]
    """Microseconds since the epoch, `[n]`, or `NO_TIME` in every row."""
    values: NDArray[np.float64]
    """`[n, channels]`, in the units of the set."""
    label: NDArray[np.bool_]
    """`[n]`: this row is anomalous. All false in sets that are judged otherwise."""
    windows: tuple[tuple[int, int], ...] = ()
    """First and last row of each anomaly window; only in sets judged by windows."""


class DataSet(NamedTuple):
    """Devices of one kind."""

    name: str
    judged: Judged
    channels: tuple[Channel, ...]
    devices: tuple[Device, ...]

    @property
    def rows(self) -> int:
        """Readings of all devices."""
        return sum(len(device.event_time) for device in self.devices)


def _path(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        raise Missing(f"no {'/'.join(parts)} in ../shared/data")
    return path


def _microseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.cast(pc.cast(column, pa.timestamp("us", "UTC")), pa.int64()))


def _matrix(table: pa.Table, channels: tuple[Channel, ...]) -> NDArray[np.float64]:
    columns = [pc.cast(table[channel.name], pa.float64()) for channel in channels]
    return np.column_stack([np.asarray(column) for column in columns])


def _split(names: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each name, in order of appearance, with its rows."""
    distinct, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    for number in np.argsort(first):
        yield str(distinct[number]), np.flatnonzero(inverse == number)


def _by_device(
    table: pa.Table,
    channels: tuple[Channel, ...],
    label: NDArray[np.bool_],
    time_column: str = "ts",
) -> tuple[Device, ...]:
    names = np.asarray(table["device_id"]).astype(str)
    time = _microseconds(table[time_column])
    values = _matrix(table, channels)
    devices: list[Device] = []
    for name, rows in _split(names):
        ordered = rows[np.argsort(time[rows], kind="stable")]
        devices.append(Device(name, time[ordered], values[ordered], label[ordered]))
    return tuple(devices)


TEMPERATURE = Channel("temperature", -60.0, 150.0, unit="°C")
HUMIDITY = Channel("humidity", 0.0, 100.0, unit="%")
LIGHT = Channel("light", 0.0, 1e6)

INTEL_FAULTS = ("random", "malfunction", "bias", "drift", "polydrift", "mixed")


def intel(fault: str) -> DataSet:
    """Return one fault type in ten Intel Berkeley motes: light and temperature."""
    table = pa_csv.read_csv(_path("intel_faults", f"{fault}.csv.gz"))
    channels = (LIGHT, TEMPERATURE)
    label = np.asarray(table["label"]) != 0
    return DataSet(f"intel/{fault}", "rows", channels, _by_device(table, channels, label))


def _nab_table() -> tuple[pa.Table, dict[str, list[list[str]]]]:
    windows = json.loads(_path("nab", "windows.json").read_text())
    return pa_csv.read_csv(_path("nab", "nab.csv.gz")), windows


def _rows_of(windows: list[list[str]], time: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    for start, end in windows:
        first, last = (int(np.datetime64(edge, "us").astype(np.int64)) for edge in (start, end))
        # Some series repeat an hour; the edge is the first row with its time, as NAB has it.
        yield int(np.argmax(time == first)), int(np.argmax(time == last))


def _nab(quiet: bool) -> tuple[Device, ...]:
    table, windows = _nab_table()
    time = _microseconds(table["timestamp"])
    value = np.asarray(table["value"], np.float64).reshape(-1, 1)
    devices: list[Device] = []
    for name, rows in _split(np.asarray(table["series"]).astype(str)):
        if quiet and windows[name]:
            continue
        label = np.zeros(len(rows), np.bool_)
        spans = tuple(_rows_of(windows[name], time[rows]))
        # NAB judges rows in the order of its files; a clock set back stands still here.
        ascending = np.maximum.accumulate(time[rows])
        devices.append(Device(name, ascending, value[rows], label, spans))
    return tuple(devices)


def nab() -> DataSet:
    """Return the 58 series of the Numenta Anomaly Benchmark; no limits are told in advance."""
    return DataSet("nab", "windows", (Channel("value", -UNKNOWN, UNKNOWN),), _nab(quiet=False))


def nab_quiet() -> DataSet:
    """Return the series of NAB in which nothing happens."""
    return DataSet("nab/quiet", "normal", (Channel("value", -UNKNOWN, UNKNOWN),), _nab(quiet=True))


def half_space_trees(name: str) -> DataSet:
    """Return one set of the Half-Space-Trees papers, in its own order, without times."""
    with np.load(_path("hst", f"{name}.npz")) as stored:
        values = stored["X"].astype(np.float64)
        label = stored["y"] != 0
    channels = tuple(Channel(f"x{number}", -UNKNOWN, UNKNOWN) for number in range(values.shape[1]))
    time = np.full(len(values), NO_TIME)
    return DataSet(f"hst/{name}", "rows", channels, (Device(name, time, values, label),))


ASNX = (TEMPERATURE, HUMIDITY)
"""What all nodes measure: only one has soil probes, and the rest is their self-diagnosis."""


def asnx() -> DataSet:
    """Return three weeks of sensor nodes with rare but proper events: none of it is a fault."""
    table = pa_csv.read_csv(_path("asnx", "base.csv.gz"))
    label = np.zeros(len(table), np.bool_)
    return DataSet("asnx", "normal", ASNX, _by_device(table, ASNX, label))


CLIMATE = (TEMPERATURE, HUMIDITY, Channel("pressure", 0.0, 1200.0, unit="hPa"))
ENO_BOX = (*CLIMATE, LIGHT, Channel("battery", 0.0, 100.0, unit="%"))


def eno_box(channels: tuple[Channel, ...], name: str) -> DataSet:
    """Return a room box, in which some readings drop to 0.0, with some of its channels."""
    table = pa_csv.read_csv(_path("eno_box", "data.csv.gz"))
    label = np.zeros(len(table), np.bool_)
    return DataSet(name, "normal", channels, _by_device(table, channels, label))


ENV_TELEMETRY = (
    TEMPERATURE,
    HUMIDITY,
    Channel("co", 0.0, 1.0),
    Channel("lpg", 0.0, 1.0),
    Channel("smoke", 0.0, 1.0),
    Channel("light", 0.0, 1.0, "boolean"),
    Channel("motion", 0.0, 1.0, "boolean"),
)
HEALTHY = "f3:6b:f4:34:c0:17"


def env_telemetry(healthy: bool = False) -> DataSet:
    """Return a day of three room sensors, or only of the one without trouble."""
    table = pa_json.read_json(_path("env_telemetry", "telemetry.jsonl.gz"))
    label = np.zeros(len(table), np.bool_)
    devices = _by_device(table, ENV_TELEMETRY, label, "timestamp")
    if healthy:
        devices = tuple(device for device in devices if device.name == HEALTHY)
    name = "env_telemetry/healthy" if healthy else "env_telemetry"
    return DataSet(name, "normal", ENV_TELEMETRY, devices)


def shuttle() -> DataSet:
    """Return River's Shuttle set: nine sensors, 7 % anomalies, without times."""
    features: list[list[float]] = []
    label: list[bool] = []
    for x, y in datasets.Shuttle():
        features.append(list(x.values()))
        label.append(y == 1)
    channels = tuple(Channel(f"f{number}", -UNKNOWN, UNKNOWN) for number in range(1, 10))
    device = Device(
        "shuttle", np.full(len(label), NO_TIME), np.array(features, np.float64), np.array(label)
    )
    return DataSet("river/shuttle", "rows", channels, (device,))


WATER_FLOW_BELOW, WATER_FLOW_ABOVE = 95.0, 107.5
"""l/s. River tells of three low segments and a small peak and labels none: they lie outside."""


def water_flow() -> DataSet:
    """Return River's WaterFlow set: two months of hours with four anomalous segments."""
    time: list[int] = []
    flow: list[float] = []
    for x, y in datasets.WaterFlow():
        time.append(int(x["Time"].timestamp() * 1e6))
        flow.append(y)
    values = np.array(flow).reshape(-1, 1)
    label = (values[:, 0] < WATER_FLOW_BELOW) | (values[:, 0] > WATER_FLOW_ABOVE)
    device = Device("water_flow", np.array(time), values, label)
    channels = (Channel("flow", 0.0, 1000.0, unit="l/s"),)
    return DataSet("river/water_flow", "rows", channels, (device,))


CATALOG: dict[str, Callable[[], DataSet]] = {
    "nab": nab,
    **{f"intel/{fault}": partial(intel, fault) for fault in INTEL_FAULTS},
    **{
        f"hst/{name}": partial(half_space_trees, name)
        for name in ("http", "smtp", "mammography", "cover")
    },
    "river/shuttle": shuttle,
    "river/water_flow": water_flow,
    "asnx": asnx,
    "eno_box": partial(eno_box, CLIMATE, "eno_box"),
    "eno_box/all_channels": partial(eno_box, ENO_BOX, "eno_box/all_channels"),
    "env_telemetry/healthy": partial(env_telemetry, healthy=True),
    "nab/quiet": nab_quiet,
}

LEFT_OUT = {
    "river: CreditCard, BETH, HTTP, SMTP, Keystroke and others": "would have to be downloaded",
    "river: Bananas, Phishing, ImageSegments, Yeast, SolarFlare, ...": "no anomalies: classes",
    "river: AirlinePassengers, SP500, TrumpApproval, ChickWeights, ...": "no labels",
}
"""What is not judged, and why."""


@cache
def load(name: str) -> DataSet:
    """Return a set of the catalog, read once a process.

    Raises:
        Missing: Its files are not here.
        KeyError: The catalog has no such set.
    """
    return CATALOG[name]()
