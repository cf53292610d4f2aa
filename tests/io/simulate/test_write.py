import csv

import pytest

from eddyline.io.simulate import Simulation, Truth, simulate, write

SIMULATION = Simulation(devices=8, sites=3, hours=2.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(SIMULATION, tmp_path_factory.mktemp("new") / "deeper")


def test_the_file_holds_the_messages_one_a_line_in_order(written):
    lines = written.messages.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert lines == simulate(SIMULATION).payloads
    assert len(lines) == written.truth.messages


def test_the_registry_lists_every_device_once(written):
    with written.devices.open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0]) == ["device_id", "site", "latitude", "longitude", "model"]
    assert len({row["device_id"] for row in rows}) == len(rows) == SIMULATION.devices
    assert len({row["site"] for row in rows}) == SIMULATION.sites
    for row in rows:
        assert row["device_id"].startswith(row["site"])
        assert -90 <= float(row["latitude"]) <= 90
        assert -180 <= float(row["longitude"]) <= 180


def test_the_truth_comes_back_as_it_was(written):
    assert Truth.read(written.truth_file) == written.truth
    assert written.truth.faults
    assert written.truth.doors


def test_writing_again_replaces_and_gives_the_same_bytes(tmp_path):
    first = write(Simulation(devices=3, hours=2.0, seed=1), tmp_path)
    other = first.messages.read_bytes()
    second = write(SIMULATION, tmp_path)
    third = second.messages.read_bytes()
    assert third != other
    write(SIMULATION, tmp_path)
    assert second.messages.read_bytes() == third


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write(Simulation(devices=1, hours=0.1, faulty=0), tmp_path / "file")
