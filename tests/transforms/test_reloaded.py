"""A reloaded file: read again when it has changed, and only a good one is taken."""

import logging
import os
from functools import partial

import pytest
from apache_beam.io.filesystem import BeamIOError

from eddyline.transforms.counts import TALLY
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.reloaded import Reloaded

REFRESH = 60.0


class Clock:
    """Seconds that a test moves on."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def reloaded(path, clock):
    """A registry, as the job reads it."""
    return Reloaded(str(path), partial(read_registry, channels=[]), REFRESH, clock, "registry")


class File:
    """A file that is written now and then, and a `Reloaded` that looks at it."""

    def __init__(self, path):
        self.path, self.clock, self.version = path, Clock(), 1000
        self.write("Bern")
        self.registry = reloaded(path, self.clock)

    def write(self, site, content=None):
        self.path.write_bytes(
            content if content is not None else f"device_id,site\na,{site}\n".encode()
        )
        self.version += 10
        os.utime(self.path, (self.version, self.version))

    def site(self, later=REFRESH):
        self.clock.now += later
        return self.registry.current().places.column("site").to_pylist()


@pytest.fixture
def file(tmp_path):
    TALLY.clear()
    yield File(tmp_path / "devices.csv")
    TALLY.clear()


def test_a_changed_file_is_read_again_when_it_is_time_to_look(file):
    file.write("Basel")
    assert file.site(later=59.9) == ["Bern"]
    assert file.site(later=0.1) == ["Basel"]
    assert TALLY.read() == {"registry_reloaded": 1}


def test_a_file_that_did_not_change_is_not_read_again(file):
    before = file.registry.current()
    assert file.site() == ["Bern"]
    assert file.registry.current() is before
    assert TALLY.read() == {}


def test_what_was_read_again_is_not_read_once_more(file):
    file.write("Basel")
    file.site()
    after = file.registry.current()
    file.site()
    assert file.registry.current() is after
    assert TALLY.read() == {"registry_reloaded": 1}


def test_time_is_counted_from_the_last_look(file):
    file.site()
    file.write("Basel")
    assert file.site(later=30) == ["Bern"]
    assert file.site(later=30) == ["Basel"]


def test_a_file_that_became_wrong_keeps_the_old_one_and_is_told_once(file, caplog):
    file.write("", b"device_id,latitude\na,999\n")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert file.site() == ["Bern"]
    assert TALLY.read() == {"registry_refused": 1}
    [record] = caplog.records
    assert "registry kept as it was" in record.getMessage()
    assert "device 1: Expected `float` <= 90.0" in record.getMessage()


def test_a_file_caught_while_it_was_written_is_read_when_it_is_whole(file):
    file.write("", b"")
    assert file.site() == ["Bern"]
    file.write("Basel")
    assert file.site() == ["Basel"]
    assert TALLY.read() == {"registry_refused": 1, "registry_reloaded": 1}


def test_another_trouble_is_told_too(file):
    file.write("", b"device_id\na\na\n")
    file.site()
    file.write("", b"device\na\n")
    file.site()
    assert TALLY.read() == {"registry_refused": 2}


def test_a_file_that_is_gone_keeps_the_old_one_and_is_told_once(file):
    file.path.unlink()
    for _ in range(3):
        assert file.site() == ["Bern"]
    assert TALLY.read() == {"registry_refused": 1}


def test_a_file_that_comes_back_is_read_and_its_next_absence_is_told_again(file):
    file.path.unlink()
    file.site()
    file.write("Basel")
    assert file.site() == ["Basel"]
    file.path.unlink()
    assert file.site() == ["Basel"]
    assert TALLY.read() == {"registry_refused": 2, "registry_reloaded": 1}


def test_a_read_that_failed_is_tried_again(file, monkeypatch):
    file.write("Basel")
    read = file.registry._read

    def fail():
        raise OSError("connection reset")

    monkeypatch.setattr(file.registry, "_read", fail)
    assert file.site() == ["Bern"]
    monkeypatch.setattr(file.registry, "_read", read)
    assert file.site() == ["Basel"]


def test_an_error_that_nobody_expected_is_not_hidden(file, monkeypatch):
    file.write("Basel")
    monkeypatch.setattr(file.registry, "_read", lambda: {}["bug"])
    with pytest.raises(KeyError):
        file.site()


def test_a_job_does_not_start_without_its_registry(tmp_path):
    with pytest.raises(BeamIOError, match="does not exist"):
        reloaded(tmp_path / "none.csv", Clock())


def test_a_job_does_not_start_with_a_wrong_registry(tmp_path):
    path = tmp_path / "devices.csv"
    path.write_bytes(b"device\na\n")
    with pytest.raises(ValueError, match=r"devices\.csv, the header line has no device_id"):
        reloaded(path, Clock())


def test_the_version_grows_with_each_reload_and_with_nothing_else(file):
    versions = [file.registry.version]
    for step in ("nothing", "good", "wrong", "good"):
        if step == "good":
            file.write("Basel")
        if step == "wrong":
            file.write("", b"device\na\n")
        file.site()
        versions.append(file.registry.version)
    assert versions == [1, 1, 2, 2, 3]


def test_counters_and_logs_carry_the_files_name(tmp_path, caplog):
    TALLY.clear()
    path, clock = tmp_path / "limit.txt", Clock()
    path.write_bytes(b"30")
    os.utime(path, (1000, 1000))
    limit = Reloaded(str(path), lambda _, content: int(content), REFRESH, clock, "limit")
    path.write_bytes(b"forty")
    os.utime(path, (2000, 2000))
    clock.now += REFRESH
    assert limit.current() == 30
    path.write_bytes(b"40")
    os.utime(path, (3000, 3000))
    clock.now += REFRESH
    assert limit.current() == 40
    assert TALLY.read() == {"limit_refused": 1, "limit_reloaded": 1}
    assert "limit kept as it was" in caplog.text
    TALLY.clear()


def test_the_parser_is_told_which_file_it_reads(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    seen = Reloaded(str(path), lambda path, content: (path, content), REFRESH, Clock(), "a")
    assert seen.current() == (str(path), b"x")
