import json
from base64 import b64decode

import numpy as np
import pytest

from benchmarks.engines.workload import RAISED, Workload, records, stream

SMALL = Workload(readings=200, devices=20, per_message=5, shards=3, faulty=0.0)


def readings(workload):
    for record in records(workload, start=1_000.0):
        sent = json.loads(record.data)
        yield from sent if isinstance(sent, list) else [sent]


def test_every_device_reports_once_a_round():
    devices = [reading["device_id"] for reading in readings(SMALL)]
    assert len(devices) == SMALL.total == 200
    assert all(devices.count(device) == SMALL.rounds == 10 for device in set(devices))


def test_a_gateway_sends_its_devices_newest_readings_as_one_array():
    sent = [json.loads(record.data) for record in records(SMALL, start=0.0)]
    assert len(sent) == SMALL.messages == 40
    assert all(len({reading["device_id"] for reading in array}) == 5 for array in sent)


def test_a_shard_is_in_the_order_of_arrival_and_holds_what_its_keys_sent():
    shards = stream(SMALL, start=1_000.0)
    assert sum(len(shard.records) for shard in shards) == SMALL.messages
    assert all((np.diff(shard.arrivals) >= 0).all() for shard in shards)
    first = json.loads(shards[0].records[0])
    assert json.loads(b64decode(first["Data"]))[0]["device_id"].startswith("dev-")
    assert first["ApproximateArrivalTimestamp"] >= 1_000.0


def test_each_faulty_device_has_one_fault_of_its_length():
    workload = Workload(
        readings=20_000, devices=20, cadence=1.0, faulty=0.5, fault_from=0.2, fault_seconds=30.0
    )
    raised: dict[str, list[float]] = {}
    usual: dict[str, list[float]] = {}
    for reading in readings(workload):
        early = reading["timestamp"] < 1_000.0 + 0.2 * workload.seconds - 1.0
        values = usual if early else raised
        values.setdefault(reading["device_id"], []).append(reading["temperature"])
    lasted = [
        sum(value > np.median(usual[device]) + RAISED / 2 for value in values)
        for device, values in raised.items()
    ]
    assert sorted(lasted)[:10] == [0] * 10
    assert all(29 <= length <= 31 for length in sorted(lasted)[10:])


def test_gateways_that_are_not_full_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        Workload(readings=40, devices=20, per_message=3)


def test_fewer_readings_than_devices_are_refused():
    with pytest.raises(ValueError, match="readings >= devices"):
        Workload(readings=10, devices=20)
