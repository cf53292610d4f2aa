"""Enriched readings, from a few words each, and the small detector that scores them."""

import json
import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.protocol import Explanation, Scores, Verdict
from eddyline.detectors.registry import make_detector
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.channel import read_channel_file
from eddyline.schemas.record import contract_of, standard_fields

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND  # 2026-01-02T00:00:00Z
DOOR = {
    "type": "record",
    "name": "door",
    "fields": [
        {"name": "temperature", "type": "double", "minimum": -40, "maximum": 85},
        {"name": "passed", "type": "long", "minimum": 0, "maximum": 1000, "out_of_range": "keep"},
        {"name": "open", "type": "boolean"},
    ],
}


@pytest.fixture(scope="session")
def contract():
    """A double, a long that may lie outside its limits, and a boolean."""
    return contract_of(read_channel_file(json.dumps(DOOR), standard_fields()))


@pytest.fixture(scope="session")
def small_detector(contract):
    """Half-Space Trees that are ready after 8 readings and find much unusual."""
    channels = [Channel(c.name, c.minimum, c.maximum, c.kind) for c in contract.channels]

    def make(name="half_space_trees"):
        settings = {"threshold": 0.6, "n_trees": 3, "height": 4, "window_size": 8}
        if name == "moving_average":
            settings = {"threshold": 2.0, "window": 4}
        return make_detector(name, channels, **settings)

    return make


@dataclass(frozen=True)
class PlainDetector:
    """A detector whose scores are the readings themselves.

    `passed` is the event score, the distance of `temperature` from 0 the condition's; that alarms
    from half its threshold on, as an alarm does that lasts. No value at all is UNSCORED.
    """

    name: ClassVar[str] = "plain"
    kinds: ClassVar[tuple[str, ...]] = ("event", "condition")
    channels: tuple[Channel, ...] = ()
    thresholds: tuple[float, ...] = (2.0, 10.0)

    def new(self, devices):
        return np.zeros(devices, [("base", "<f8"), ("last", "<f8"), ("seen", "<i8")])

    def observe(self, state, device, event_time, values, thresholds=None):
        limits = np.tile(self.thresholds, (len(state), 1)) if thresholds is None else thresholds
        np.add.at(state["seen"], device, 1)
        condition = np.abs(values[:, 0] - state["base"][device])
        event = values[:, 1]
        for row, d in enumerate(device):
            if not np.isnan(values[row, 0]):
                state["last"][d] = values[row, 0]
        with np.errstate(invalid="ignore"):
            alarms = (event >= limits[device, 0]) | 2 * (condition >= limits[device, 1] / 2)
        score = np.fmax(condition, event)
        verdict = np.where(np.isnan(score), Verdict.UNSCORED, np.where(alarms, 1, 0))
        explanations = {
            row: Explanation(
                ("temperature", "passed") if alarms[row] > 1 else ("passed", "temperature"),
                (1.0, 0.0),
                "level" if alarms[row] > 1 else "innovation",
                float(values[row, 0]),
                float(state["base"][device[row]]),
                float("nan"),
                float("nan"),
                f"temperature {values[row, 0]:g}",
            )
            for row in np.flatnonzero(alarms).tolist()
        }
        extras = {"event": event, "condition": condition}
        verdict, alarms = verdict.astype(np.uint8), alarms.astype(np.uint8)
        return Scores(score, verdict, alarms, explanations, extras)

    def rebaseline(self, state, row):
        state["base"][row] = state["last"][row]

    def encode(self, state, row):
        return struct.pack("<ddq", *state[row])

    def encode_many(self, state, rows=None):
        return [self.encode(state, row) for row in (range(len(state)) if rows is None else rows)]

    def decode(self, record, state, row):
        state[row] = struct.unpack("<ddq", record)

    def decode_many(self, records, state, rows=None):
        for row, record in zip(rows or range(len(records)), records, strict=True):
            self.decode(record, state, row)
        return {}


@pytest.fixture(scope="session")
def plain_detector(contract):
    """A detector whose scores are the readings themselves; see `PlainDetector`."""
    channels = [Channel(c.name, c.minimum, c.maximum, c.kind, c.unit) for c in contract.channels]
    return PlainDetector(tuple(channels))


@pytest.fixture(scope="session")
def readings(contract):
    """Batches from rows of (device, seconds since T0, reading id, channel values).

    Rows arrive one a second in the order given, from `at` on; channel values may be left out.
    """
    names = [channel.name for channel in contract.channels]
    full = arrow_schema(contract.record("reading"))
    schema = pa.schema([field for field in full if field.name not in ("verdict", "score")])

    def make(rows, at=0):
        rows = [(*row, ()) if len(row) == 3 else row for row in rows]
        number = len(rows)
        columns = {
            "device_id": [device for device, *_ in rows],
            "event_time": [T0 + round(seconds * SECOND) for _, seconds, *_ in rows],
            "reading_id": [identity for _, _, identity, _ in rows],
            "arrival_time": [T0 + (at + row) * SECOND for row in range(number)],
            "source": ["test"] * number,
            "position": [f"{at + row:09d}" for row in range(number)],
            "site": [f"site of {device}" for device, *_ in rows],
            "model": [None] * number,
            "known": [True] * number,
        }
        for place, name in enumerate(names):
            columns[name] = [values[place] if place < len(values) else None for *_, values in rows]
        return pa.RecordBatch.from_arrays(
            [
                pa.array(columns.get(field.name, [None] * number), field.type, from_pandas=False)
                for field in schema
            ],
            schema=schema,
        )

    return make


class Cell:
    """A cell of an engine's state, of one value or of many; what it holds, it holds as bytes."""

    def __init__(self, bag):
        self.bag, self.values = bag, ()

    def read(self):
        return reversed(self.values) if self.bag else next(iter(self.values), None)

    def write(self, value):
        assert isinstance(value, bytes)
        assert not self.bag
        self.values = (value,)

    def add(self, value):
        assert isinstance(value, bytes)
        assert self.bag
        self.values += (value,)

    def clear(self):
        self.values = ()


class State:
    """A shard's state in an engine, which forgets what a failed bundle wrote."""

    def __init__(self):
        self.cells = Cell(bag=False), Cell(bag=True), Cell(bag=False)
        self.commit()

    def commit(self):
        self.committed = [cell.values for cell in self.cells]
        return self.committed

    def fail(self, to=None):
        for cell, values in zip(self.cells, to or self.committed, strict=True):
            cell.values = values


@pytest.fixture
def new_state():
    """Makes the state of one shard, empty; see `State`."""
    return State
