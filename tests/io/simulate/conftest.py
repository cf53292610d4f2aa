import json
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

import pytest

from eddyline.io.simulate import Simulation, simulate

LIMITS = {"temperature": (-40, 85), "humidity": (0, 100), "pressure": (300, 1100)}
EARLIEST, LATEST = 631_152_000_000_000, 1_830_000_000_000_000  # 1990, 2027


class Reading(NamedTuple):
    device_id: str
    event_time: int
    values: tuple[float | None, ...]
    message_id: str | None


def refuse(literal):
    raise ValueError(literal)


def event_time_of(stamp) -> int:
    if isinstance(stamp, bool):
        raise TypeError(stamp)
    if isinstance(stamp, int):
        return stamp * 1000
    when = datetime.fromisoformat(stamp)
    if when.tzinfo is None:
        raise ValueError(stamp)
    return round(when.timestamp() * 1000) * 1000


def reading_of(item) -> Reading:
    """The contract, written a second time and in another way: what is no reading raises."""
    if not isinstance(item, dict):
        raise TypeError(item)
    device = item["device_id"]
    if not isinstance(device, str) or not 0 < len(device) <= 1000:
        raise ValueError(device)
    device.encode()
    event_time = event_time_of(item["timestamp"])
    if not EARLIEST <= event_time <= LATEST:
        raise ValueError(event_time)
    values = []
    for channel, (low, high) in LIMITS.items():
        value = item.get(channel)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(value)
            if not low <= value <= high:
                raise ValueError(value)
        values.append(value)
    return Reading(device, event_time, tuple(values), item.get("message_id"))


UNUSABLE = (ValueError, TypeError, KeyError, RecursionError, OverflowError)


def parsed(payload: bytes) -> tuple[list[Reading], int]:
    """A payload's readings and the number of its items that are none."""
    try:
        whole = json.loads(payload.decode("utf-8"), parse_constant=refuse)
    except UNUSABLE:
        return [], 1
    if whole == []:
        return [], 1
    readings, bad = [], 0
    for item in whole if isinstance(whole, list) else [whole]:
        try:
            readings.append(reading_of(item))
        except UNUSABLE:
            bad += 1
    return readings, bad


class Received(NamedTuple):
    """A stream, read back from its bytes."""

    stream: object
    truth: object
    arrivals: dict  # (device, event time) -> arrival times, in order
    readings: dict  # (device, event time) -> distinct readings
    by_device: dict  # device -> [(event time, values)] in order of event time
    bad: int
    items: int


def receive(stream) -> Received:
    arrivals, readings = defaultdict(list), defaultdict(set)
    bad = items = 0
    for arrival, payload in zip(stream.arrival_time.tolist(), stream.payloads, strict=True):
        found, unusable = parsed(payload)
        bad += unusable
        items += unusable + len(found)
        for reading in found:
            key = (reading.device_id, reading.event_time)
            arrivals[key].append(arrival)
            readings[key].add(reading)
    by_device = defaultdict(list)
    for (device, event_time), found in sorted(readings.items()):
        by_device[device].append((event_time, next(iter(found)).values))
    return Received(stream, stream.truth, arrivals, readings, by_device, bad, items)


@pytest.fixture(scope="package")
def simulation():
    return Simulation(devices=20, hours=4.0, malformed=0.03, late=0.005, faulty=0.9)


@pytest.fixture(scope="package")
def received(simulation):
    return receive(simulate(simulation))


@pytest.fixture(scope="package")
def parse_payload():
    return parsed


@pytest.fixture(scope="package")
def rough():
    """A slow fleet on a terrible line, a fault on every device."""
    harm = {"late": 0.05, "malformed": 0.2, "missing": 0.1, "gathered": 0.05}
    return receive(simulate(Simulation(devices=48, hours=3.0, cadence=60.0, faulty=1.0, **harm)))
