"""What is known of a shard's devices, from files that change while a job runs."""

import os

import pytest

from eddyline.transforms.devices.shard import shard_of
from eddyline.transforms.incidents.known import Known
from eddyline.transforms.incidents.known_files import KnownByShard, KnownFiles
from eddyline.transforms.policy.policy import DEFAULT

DEVICES = b"""device_id,site,latitude,longitude,model,importance,expected
a,mill,48.5,9.5,brook,high,true
b,,,,,,
d,mill,,,,low,true
"""


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def written(path, content, at):
    path.write_bytes(content)
    os.utime(path, (at, at))


@pytest.mark.parametrize("name", ["registry_refresh", "policy_refresh"])
def test_wrong_times_between_looks_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must not be negative: -1"):
        KnownFiles(Clock(), **{name: -1})


def test_without_files_nothing_is_known_and_the_policy_is_that_of_no_file():
    known = KnownByShard(KnownFiles(Clock()), ("temperature",), 2).of(1)
    assert (known.place("a"), known.limits("a"), known.importance("a")) == (None, None, "normal")
    assert (known.expected, known.rule("a")) == ((), DEFAULT.rule("a", None, None))


def test_each_shard_expects_its_own_devices(tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(DEVICES)
    known = KnownByShard(KnownFiles(Clock(), str(path)), ("temperature",), 4)
    expected = {shard: known.of(shard).expected for shard in range(4)}
    assert sorted(d for devices in expected.values() for d in devices) == ["a", "d"]
    for shard, devices in expected.items():
        assert {shard_of(d, 4) for d in devices} <= {shard}
    assert known.of(0).importance("a") == "high"
    assert known.of(0).place("b") == (None, None, None, None)


def test_what_is_known_is_the_same_value_until_a_file_changes(tmp_path):
    devices, policy, clock = tmp_path / "d.csv", tmp_path / "p.yaml", Clock()
    written(devices, DEVICES, 1000)
    written(policy, b"rules:\n- match: {site: mill}\n  quiet: 5m\n", 1000)
    known = KnownByShard(KnownFiles(clock, str(devices), str(policy), 10, 10), ("temperature",), 1)
    first = known.of(0)
    assert (first.rule("a").quiet, first.rule("b").quiet) == (300.0, 600.0)
    clock.now = 11.0
    assert known.of(0) is first
    written(policy, b"rules:\n- match: {site: mill}\n  quiet: 7m\n", 2000)
    clock.now = 22.0
    second = known.of(0)
    assert second is not first
    assert second.rule("a").quiet == 420.0
    written(devices, DEVICES.replace(b"high", b"low"), 3000)
    clock.now = 33.0
    assert known.of(0).importance("a") == "low"
    # A file that has become wrong keeps the last good one.
    written(policy, b"rules: 7\n", 4000)
    clock.now = 44.0
    assert known.of(0).rule("a").quiet == 420.0


def test_a_fleet_takes_another_version_and_keeps_what_it_learned(
    contract, plain_detector, readings
):
    from eddyline.transforms.devices.registry import read_registry
    from eddyline.transforms.fleet.fleet import Fleet

    fleet = Fleet(contract, plain_detector, 0, 8)
    fleet.observe(readings([("a", t, t, (0.0, 0)) for t in range(50)]))
    before = [column.tolist() for column in fleet.casebook.cadence]
    registry = read_registry("d.csv", DEVICES, [c.name for c in contract.channels])
    fleet.know(Known(registry))
    assert fleet.casebook.devices[0].importance == "high"
    assert [column.tolist() for column in fleet.casebook.cadence] == before
