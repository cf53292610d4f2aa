import dataclasses
import json
from datetime import datetime

import pytest

from eddyline.io.simulate import Simulation, simulate

MINUTE = 60_000_000
SIMULATION = Simulation(devices=24, sites=4, hours=6.0, seed=11, outages=2)
SITES = {"harbour", "mill", "orchard", "quarry"}


def heard(stream):
    """(device, event time) of every message that is one plain reading."""
    for payload in stream.payloads:
        try:
            reading = json.loads(payload)
        except (ValueError, RecursionError):
            continue
        if isinstance(reading, dict) and "timestamp" in reading:
            yield reading.get("device_id"), reading["timestamp"]


@pytest.fixture(scope="module")
def cut_off():
    return simulate(SIMULATION)


def test_a_site_in_an_outage_says_nothing_and_the_others_do(cut_off):
    outages = cut_off.truth.outages
    assert len(outages) == 2
    assert outages[0].site != outages[1].site
    for outage in outages:
        inside = set()
        for device, time in heard(cut_off):
            if isinstance(time, str) and isinstance(device, str):
                try:
                    micros = datetime.fromisoformat(time).timestamp() * 1e6
                except ValueError:
                    continue
                if outage.start < micros < outage.end:
                    inside.add(device.rsplit("-", 1)[0])
        assert outage.site not in inside
        assert len(inside & SITES) == 3


def test_no_device_of_the_site_has_a_fault_near_its_outage(cut_off):
    for outage in cut_off.truth.outages:
        for fault in cut_off.truth.faults:
            if fault.device_id.startswith(outage.site):
                assert fault.end < outage.start - 14 * MINUTE or fault.start > outage.end


def test_outages_leave_faults_and_the_rest_as_they_were(cut_off):
    whole = simulate(dataclasses.replace(SIMULATION, outages=0))
    assert whole.truth.faults == cut_off.truth.faults
    assert whole.truth.outages == ()
    assert cut_off.truth.readings < whole.truth.readings


def test_the_counts_of_the_truth_hold_with_outages(cut_off):
    truth = cut_off.truth
    assert truth.items == truth.readings + truth.duplicates + sum(truth.malformed.values())
    assert truth.messages == len(cut_off.payloads)


def test_there_are_fewer_outages_where_faults_leave_no_room():
    crowded = Simulation(devices=12, sites=1, hours=2.0, faulty=1.0, outages=1)
    assert simulate(crowded).truth.outages == ()
