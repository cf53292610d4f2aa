import json

import numpy as np

from eddyline.io.simulate import Simulation
from eddyline.io.simulate.faults import plant
from eddyline.io.simulate.fleet import draw_fleet
from eddyline.io.simulate.payloads import encoded, members, rendered
from eddyline.io.simulate.readings import taken
from eddyline.io.simulate.signals import healthy

SIMULATION = Simulation(devices=20, hours=0.5, missing=0.1, faulty=0)
FLEET = draw_fleet(SIMULATION)
SIGNALS = healthy(SIMULATION, FLEET)
READINGS = taken(SIMULATION, SIGNALS, plant(SIMULATION, FLEET, SIGNALS))


def test_in_bulk_is_the_same_as_one_by_one():
    one_by_one = [rendered(members(FLEET, READINGS, row)) for row in range(len(READINGS))]
    assert encoded(FLEET, READINGS) == one_by_one


def test_a_payload_is_the_reading():
    for row, payload in enumerate(encoded(FLEET, READINGS)):
        said = json.loads(payload)
        assert said["device_id"] == FLEET.device_id[READINGS.device[row]]
        stamp = said["timestamp"]
        when = stamp if isinstance(stamp, int) else np.datetime64(stamp[:-1], "ms").astype(int)
        assert when * 1000 == READINGS.event_time[row]
        values = [said.get(name) for name in ("temperature", "humidity", "pressure")]
        expected = [None if np.isnan(value) else value for value in READINGS.values[row]]
        assert values == expected


def test_a_missing_value_is_null_or_left_out():
    payloads = encoded(FLEET, READINGS)
    lacking = [payloads[row] for row in np.flatnonzero(np.isnan(READINGS.values).any(axis=1))]
    nulls = sum(b":null" in payload for payload in lacking)
    assert 0.4 < nulls / len(lacking) < 0.6


def test_both_forms_of_a_timestamp_are_sent():
    kinds = {type(json.loads(payload)["timestamp"]) for payload in encoded(FLEET, READINGS)}
    assert kinds == {int, str}
