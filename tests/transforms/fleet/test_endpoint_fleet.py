"""A fleet whose scores an endpoint gave: they wait with their readings and are judged in order."""

import numpy as np
import pyarrow as pa
import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.endpoint import GIVEN_SCORE, Endpoint
from eddyline.schemas.scoring import Answer, Failure
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_codec import decode_fleet, encode_fleet
from eddyline.transforms.infer import infer

SECOND = 1_000_000


@pytest.fixture
def new_fleet(contract):
    channels = tuple(Channel(c.name, c.minimum, c.maximum, c.kind) for c in contract.channels)
    return lambda: Fleet(contract, Endpoint(channels), 10 * SECOND, remember=16)


@pytest.fixture
def answered(contract, readings):
    """Readings of the temperatures 0, 1, ... that an endpoint scored, without those that failed."""

    def make(times, failed=()):
        rows = [("a", time, time + 1, (float(time), 1, True)) for time in times]
        scores = [np.nan if time in failed else time / 100 for time in times]
        failures = {n: Failure("timeout", "") for n, t in enumerate(times) if t in failed}
        return infer(readings(rows), Answer(np.array(scores), failures), contract).readings

    return make


def scored_of(fleet, batches):
    watched = [fleet.observe(batch) for batch in batches]
    watched.append(fleet.advance(2**62))
    return pa.Table.from_batches([part.scored for part in watched])


def test_each_reading_is_judged_by_the_score_that_was_given_to_it(new_fleet, answered):
    scored = scored_of(new_fleet(), [answered(range(100), failed={3, 70})])
    assert GIVEN_SCORE not in scored.column_names
    by_temperature = {
        row["temperature"]: (row["score"], row["verdict"]) for row in scored.to_pylist()
    }
    assert len(by_temperature) == 100
    for temperature, found in by_temperature.items():
        if temperature in (3, 70):
            assert found == (None, "UNSCORED")
        else:
            wanted = "ANOMALY" if temperature >= 50 else "NORMAL"
            assert found == (temperature / 100, wanted)


def test_disorder_and_cuts_do_not_change_the_verdicts(new_fleet, answered):
    times = list(range(60))
    disordered = [t for start in range(0, 60, 5) for t in reversed(times[start : start + 5])]
    whole = scored_of(new_fleet(), [answered(times, failed={7})])
    parts = [answered(disordered[at : at + 9], failed={7}) for at in range(0, 60, 9)]
    columns = ["event_time", "score", "verdict"]
    found = scored_of(new_fleet(), parts).select(columns).sort_by("event_time")
    assert found.equals(whole.select(columns).sort_by("event_time"))


def test_a_given_score_waits_in_the_state(new_fleet, answered):
    fleet, back = new_fleet(), new_fleet()
    fleet.observe(answered([1, 2, 80], failed={2}))
    decode_fleet(encode_fleet(fleet), back)
    scored = back.advance(2**62).scored
    assert scored.column("verdict").to_pylist() == ["ANOMALY"]
    assert scored.column("score").to_pylist() == [0.8]


def test_anomalies_are_told_as_the_endpoints(new_fleet, answered):
    fleet = new_fleet()
    fleet.observe(answered(list(range(40))))
    fleet.observe(answered([90]))
    anomalies = fleet.advance(2**62).anomalies.to_pylist()
    assert [a["sign"] for a in anomalies] == ["endpoint"]
    assert anomalies[0]["detector"] == "endpoint"
    assert anomalies[0]["channels"][0] == "temperature"
    assert "the endpoint gave 0.9" in anomalies[0]["explanation"]
