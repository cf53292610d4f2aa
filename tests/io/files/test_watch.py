"""Watched files: each version once, in order, through restarts, changes and files that fail."""

import gzip
import os
from pathlib import Path

import pytest

from eddyline.io.files import watch_reader
from eddyline.io.files.listing import Listed, decode_marks, encode_marks, place_of
from eddyline.io.files.watch import WatchedFiles
from eddyline.io.files.watch_reader import DONE, FileReader
from eddyline.io.sources.begin import Begin
from eddyline.io.sources.progress import ProgressCoder
from eddyline.io.sources.source import Unreadable
from eddyline.schemas.message import messages_of
from eddyline.schemas.unreadable import unreadable

START = 1_767_312_000


class Time:
    def __init__(self):
        self.passed = 0.0

    def clock(self):
        return self.passed

    def now(self):
        return START + self.passed


@pytest.fixture
def time():
    return Time()


def write(folder, name, content, changed=START - 100):
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (changed, changed))
    return path


def numbers(first, last):
    return b"".join(b"%d\n" % n for n in range(first, last))


class Run:
    """Polls a folder; the progress goes through its coder, as an engine keeps it."""

    def __init__(self, folder, time, **more):
        self.time = time
        self.source = WatchedFiles(f"{folder}/*", **{"rows": 10, **more})
        self.progress = self.source.start()
        self.restart()

    def restart(self):
        self.reader = FileReader(self.source, self.time.clock, self.time.now)

    def poll(self):
        coder = ProgressCoder()
        polled = self.reader.poll(coder.decode(coder.encode(self.progress)))
        self.progress, self.wait = polled.progress, polled.wait
        return [m for batch in polled.batches for m in messages_of(batch)]

    def drain(self, polls=40):
        messages = []
        for _ in range(polls):
            messages += self.poll()
            self.time.passed += self.wait
        return messages


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(watch_reader, "ROUND_BYTES", 1)  # a batch a poll


def test_files_are_read_by_when_they_were_changed(tmp_path, time):
    write(tmp_path, "b", b"1\n", START - 300)
    write(tmp_path, "a", b"2\n", START - 200)
    write(tmp_path, "c", b"3\n", START - 200)
    run = Run(tmp_path, time)
    assert [m.payload for m in run.drain()] == [b"1", b"2", b"3"]
    assert run.progress.messages == 3
    assert list(run.progress.partitions) == [DONE]


def test_a_file_that_appears_is_read_and_a_changed_one_is_read_again(tmp_path, time):
    path = write(tmp_path, "a", b"1\n")
    run = Run(tmp_path, time)
    assert len(run.drain()) == 1
    write(tmp_path, "b", b"2\n", START - 1000)  # moved here: its change is old
    assert [m.payload for m in run.drain()] == [b"2"]
    path.write_bytes(b"3\n")
    os.utime(path, (START, START))
    assert [m.payload for m in run.drain()] == [b"3"]


def test_a_restart_goes_on_in_the_middle_of_a_file(tmp_path, time, slow):
    write(tmp_path, "a.gz", gzip.compress(numbers(0, 95)))
    write(tmp_path, "b", numbers(95, 100), START - 50)
    run, messages = Run(tmp_path, time), []
    while len(messages) < 100:
        messages += run.poll()
        run.restart()
    assert [int(m.payload) for m in messages] == list(range(100))
    assert run.drain() == []


def test_an_engine_that_goes_back_gets_the_same_again(tmp_path, time, slow):
    write(tmp_path, "a", numbers(0, 50))
    run = Run(tmp_path, time)
    run.poll()
    checkpoint = run.progress
    once = run.poll() + run.poll()
    run.progress = checkpoint
    assert run.poll() + run.poll() == once
    assert int(once[0].payload) == 10


def test_a_local_file_that_is_being_written_is_left_alone(tmp_path, time):
    write(tmp_path, "a", b"1\n2", START - 1)
    run = Run(tmp_path, time, every=1.0, settle=3.0)
    assert run.poll() == []
    assert 0 < run.wait <= 1.0
    write(tmp_path, "a", b"1\n2\n", START + 1)
    time.passed = 3.0
    assert run.poll() == []
    time.passed = 4.5
    assert [m.payload for m in run.poll()] == [b"1", b"2"]


def test_the_watermark_waits_for_files_that_are_unread_and_else_goes_on(tmp_path, time, slow):
    run = Run(tmp_path, time, every=5.0)
    run.poll()
    assert run.progress.seen == (START - 2) * 1_000_000
    write(tmp_path, "a", numbers(0, 30), START - 500)
    write(tmp_path, "b", numbers(0, 30), START - 400)
    time.passed = 5.0
    run.poll()
    assert run.progress.seen == (START - 500) * 1_000_000
    seen = []
    for _ in range(4):
        run.poll()
        seen.append(run.progress.seen)
    # Also between the files, when none is open.
    assert sorted(set(seen)) == [(START - 500) * 1_000_000, (START - 400) * 1_000_000]
    assert run.progress.seen == (START - 400) * 1_000_000
    run.drain(9)
    assert run.progress.seen > START * 1_000_000


def test_a_folder_that_is_empty_for_a_while_does_not_forget(tmp_path, time):
    write(tmp_path, "a", b"1\n")
    run = Run(tmp_path, time)
    run.drain()
    content, at = (tmp_path / "a").read_bytes(), (tmp_path / "a").stat().st_mtime
    (tmp_path / "a").unlink()
    assert run.drain() == []
    write(tmp_path, "a", content, at)
    assert run.drain() == []


def test_what_is_gone_is_forgotten(tmp_path, time):
    write(tmp_path, "keep", b"1\n")
    for n in range(20):
        write(tmp_path, f"{n}", b"1\n")
    run = Run(tmp_path, time)
    assert len(run.drain()) == 21
    for n in range(20):
        (tmp_path / f"{n}").unlink()
    run.drain()
    assert len(decode_marks(run.progress.partitions[DONE].at)) == 1


def test_a_damaged_file_is_marked_and_the_next_is_read(tmp_path, time):
    write(tmp_path, "a.gz", gzip.compress(numbers(0, 20))[:-5], START - 200)
    write(tmp_path, "b", b"20\n")
    messages = Run(tmp_path, time).drain()
    assert [m.payload for m in messages if not m.attributes] == [b"%d" % n for n in range(21)]
    assert len(messages) == 22


def test_a_file_that_cannot_be_opened_is_given_up_and_the_next_is_read(tmp_path, time, monkeypatch):
    write(tmp_path, "a", b"1\n", START - 200)
    write(tmp_path, "b", b"2\n")
    plain = watch_reader.contents

    def contents(path, *more):
        if path.endswith("a"):
            raise PermissionError(13, "Permission denied")
        return plain(path, *more)

    monkeypatch.setattr(watch_reader, "contents", contents)
    run = Run(tmp_path, time)
    came = []
    while not came:
        came = run.drain(1)
    assert 60 < time.passed < 130  # several tries
    mark, read = came + run.drain()
    assert unreadable(mark.attributes) == (
        "damaged_file",
        f"{tmp_path}/a: it cannot be read ([Errno 13] Permission denied).",
    )
    assert read.payload == b"2"


def test_an_outage_in_which_nothing_can_be_listed_gives_no_file_up(tmp_path, time, monkeypatch):
    write(tmp_path, "a", b"1\n")
    plain, away, tries = (watch_reader.contents, watch_reader.list_files), [False], []

    def contents(*arguments):
        tries.append(time.passed)
        if len(tries) <= 2 * (watch_reader.TRIES - 1):
            raise ConnectionResetError("gone")
        return plain[0](*arguments)

    def list_files(pattern):
        if away[0]:
            raise Unreadable("gone", passes=True)
        return plain[1](pattern)

    monkeypatch.setattr(watch_reader, "contents", contents)
    monkeypatch.setattr(watch_reader, "list_files", list_files)
    run = Run(tmp_path, time)
    assert run.drain(watch_reader.TRIES - 1) == []
    away[0] = True
    assert run.drain(5) == []
    assert 0 < run.wait <= 30
    away[0] = False
    assert [m.payload for m in run.drain(20)] == [b"1"]


def test_trouble_in_the_middle_of_a_file_is_tried_again_from_there(
    tmp_path, time, slow, monkeypatch
):
    write(tmp_path, "a", numbers(0, 50))
    plain, opened = watch_reader.contents, []

    def contents(path, *more):
        opened.append(path)
        for number, batch in enumerate(plain(path, *more)):
            if number == 3 and len(opened) < 3:
                raise ConnectionResetError("gone")
            yield batch

    monkeypatch.setattr(watch_reader, "contents", contents)
    messages = Run(tmp_path, time).drain()
    assert [int(m.payload) for m in messages] == list(range(50))
    assert len(opened) == 3


def test_readers_share_the_files(tmp_path, time):
    for n in range(30):
        write(tmp_path, f"{n:02d}", b"%d\n" % n)
    run = Run(tmp_path, time, readers=3)
    lanes, payloads = list(run.source.lanes(run.progress)), []
    for lane in lanes:
        run.progress = lane
        run.restart()
        found = [int(m.payload) for m in run.drain()]
        assert 0 < len(found) < 30
        payloads += found
    assert sorted(payloads) == list(range(30))


def test_latest_leaves_what_is_there_and_a_time_what_is_older(tmp_path, time):
    write(tmp_path, "a", b"1\n", START - 200)
    write(tmp_path, "b", b"2\n", START - 100)
    timed = Run(tmp_path, time, begin=Begin("time", (START - 100) * 1_000_000 + 7))
    assert [m.payload for m in timed.drain()] == [b"2"]
    latest = Run(tmp_path, time, begin=Begin("latest"))
    write(tmp_path, "c", b"3\n", START)
    assert [m.payload for m in latest.drain()] == [b"3"]


def test_a_missing_folder_is_told_in_words(tmp_path):
    with pytest.raises(Unreadable, match=r"gone: it does not exist\. Create it"):
        WatchedFiles(f"{tmp_path}/gone/*.csv").check()


@pytest.mark.parametrize("more", [{"readers": 0}, {"rows": 0}, {"every": 0}, {"settle": -1}])
def test_what_makes_no_sense_is_refused(more):
    with pytest.raises(ValueError, match="watch: readers and rows"):
        WatchedFiles("in/*", **more)
    with pytest.raises(ValueError, match="watch: name the files"):
        WatchedFiles("")


def test_a_hundred_thousand_files_are_remembered_in_about_a_megabyte():
    marks = {Listed(n, f"s3://bucket/in/{n}", 5).mark for n in range(100_000)}
    assert len(marks) == 100_000
    text = encode_marks(marks)
    assert len(text) < 1_100_000
    assert decode_marks(text) == marks


def test_the_place_of_a_pattern_in_the_working_folder():
    assert Path(place_of("*.csv")).is_dir()
    assert place_of("/*.csv") == "/"
