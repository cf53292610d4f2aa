"""A store that refuses, met by real clients: S3 behind a proxy that fails, a disk that is full."""

import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from eddyline.io.lake import create_tables, open_table, read_raw
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.patience import LakeUnavailable, Patience
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.raw import RAW_FILES, RawZone
from eddyline.io.lake.storage import locate
from eddyline.io.outages import Outages

pytestmark = pytest.mark.job


def beside(name):
    found = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def s3(moto, bucket, monkeypatch):
    """S3 that fails as its `rule` says; a test fails where it could not forward."""
    before = beside("faulty_s3").FaultyS3(urlsplit(moto).port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", before.url)
    yield before
    before.close()
    assert before.violations == []


@pytest.fixture
def lake(s3, bucket):
    return f"s3://{bucket}/deep/down"


@pytest.fixture
def disk(tmp_path):
    small = beside("small_disk")
    try:
        with small.small_disk(tmp_path / "disk", "1m") as mounted:
            yield mounted
    except small.NoDisk as error:
        pytest.skip(str(error))


class Waits:
    """A patience whose waits take no time; after so many of them it mends what is broken."""

    def __init__(self, mend, after=2, seconds=1000.0):
        self.mend, self.after, self.waits, self.now = mend, after, 0, 0.0
        self.patience = Patience(seconds, self.sleep, Outages(lambda: self.now))

    def sleep(self, seconds):
        self.now += seconds
        self.waits += 1
        if self.waits == self.after:
            self.mend()


def forward(_method, _path):
    return ""


def commit_put(answer):
    return lambda method, path: answer if method == "PUT" and "_delta_log" in path else ""


def numbered(files, pending=None):
    return (pending or Pending()).number([file.encode() for file in files], "p")


def objects(lake):
    place = locate(lake)
    selector = place.filesystem.get_file_info(_everything(place.root))
    return {info.path.removeprefix(f"{place.root}/"): info.size for info in selector if info.size}


def _everything(root):
    from pyarrow import fs

    return fs.FileSelector(root, recursive=True, allow_not_found=True)


@pytest.mark.parametrize("answer", ["denied", "expired", "busy", "drop"])
def test_a_bucket_that_refuses_is_outlasted_by_files_and_commits(
    s3, lake, table, rows, ids, answer
):
    create_tables(lake, [table])
    s3.rule = lambda _method, _path: answer
    waits = Waits(lambda: setattr(s3, "rule", forward))
    files = table.write(lake, rows([1, 2]), 0.0, waits.patience)
    assert waits.waits == 2
    pending = numbered(files)
    log = DeltaLog(lake, table, waits.patience)
    s3.rule = lambda _method, _path: answer
    waits.waits = 0
    assert log.append(pending.job, pending.files) == 1
    assert waits.waits == 2
    assert ids(open_table(lake, "readings")) == [1, 2]


def test_a_bucket_that_is_away_is_outlasted(s3, lake, table, rows, ids):
    create_tables(lake, [table])
    away = s3.away()
    away.__enter__()
    waits = Waits(lambda: away.__exit__(None, None, None), after=1)
    pending = numbered(table.write(lake, rows([1]), 0.0, waits.patience))
    assert DeltaLog(lake, table).append(pending.job, pending.files) == 1
    assert ids(open_table(lake, "readings")) == [1]


@pytest.mark.parametrize("last", ["busy", "drop"])
@pytest.mark.parametrize("times", [1, 30])
def test_a_commit_that_was_done_and_answered_as_if_it_was_not_is_done_once(
    s3, lake, table, rows, ids, last, times
):
    first = numbered(table.write(lake, rows([1, 2]), now=0.0))
    waits = Waits(lambda: setattr(s3, "rule", forward))
    log = DeltaLog(lake, table, waits.patience)
    log.append(first.job, first.files)
    more = numbered(table.write(lake, rows([3]), now=0.0), first)
    left = [f"done, {last}"] * times

    def rule(method, path):
        commit = method == "PUT" and "_delta_log" in path
        return left.pop() if commit and left else ""

    s3.rule = rule
    assert log.append(more.job, more.files[1:]) == 0  # the first attempt was it
    assert (s3.refused == 1) == (times == 1)  # its own client asks again, and then we do
    s3.rule = forward
    assert log.append(more.job, more.files[1:]) == 0
    assert open_table(lake, "readings").version() == 2
    assert ids(open_table(lake, "readings")) == [1, 2, 3]


def test_a_commit_whose_answer_is_lost_is_found_also_behind_a_strangers(s3, lake, table, rows, ids):
    mine = numbered(table.write(lake, rows([1]), now=0.0))
    theirs = numbered(table.write(lake, rows([2]), now=0.0))

    def meanwhile():
        s3.rule = forward
        DeltaLog(lake, table).append(theirs.job, theirs.files)

    log = DeltaLog(lake, table, Waits(meanwhile, after=1).patience)
    log.create()
    s3.rule = commit_put("done, busy")
    assert log.append(mine.job, mine.files) == 0
    assert ids(open_table(lake, "readings")) == [1, 2]


def test_a_commit_that_was_refused_leaves_no_entry_and_its_number_free(s3, lake, table, rows, ids):
    create_tables(lake, [table])
    pending = numbered(table.write(lake, rows([1]), now=0.0))
    s3.rule = commit_put("denied")
    log = DeltaLog(lake, table, Waits(lambda: None, seconds=20).patience)
    with pytest.raises(LakeUnavailable, match=r"to commit to readings.*AccessDenied.*s3:PutObject"):
        log.append(pending.job, pending.files)
    s3.rule = forward
    assert ids(open_table(lake, "readings")) == []
    assert log.committed(pending.job) == 0
    assert log.append(pending.job, pending.files) == 1
    assert ids(open_table(lake, "readings")) == [1]


def test_a_bucket_that_is_not_there_is_told_at_once(s3, table, rows):
    waits = Waits(lambda: None)
    with pytest.raises(OSError, match="NO_SUCH_BUCKET"):
        table.write("s3://nowhere-at-all/lake", rows([1]), 0.0, waits.patience)
    with pytest.raises(OSError, match="NoSuchBucket"):
        DeltaLog("s3://nowhere-at-all/lake", table, waits.patience).create()
    assert waits.waits == 0


def test_a_start_does_not_wait_for_a_bucket_that_denies(s3, lake, table):
    s3.rule = lambda _method, _path: "denied"
    with pytest.raises(OSError, match="AccessDenied"):
        create_tables(lake, [table])


def test_raw_messages_outlast_a_bucket_that_refuses(s3, lake, message_record, message_rows):
    zone = RawZone(message_record)
    create_tables(lake, [zone])
    s3.rule = lambda _method, _path: "denied"
    waits = Waits(lambda: setattr(s3, "rule", forward))
    pending = numbered(zone.write(lake, message_rows(3), 0.0, waits.patience))
    DeltaLog(lake, RAW_FILES, waits.patience).append(pending.job, pending.files)
    assert sum(batch.num_rows for batch in read_raw(lake)) == 3


def test_a_full_disk_keeps_no_half_of_a_file_and_takes_it_once_there_is_room(
    disk, table, rows, ids
):
    lake = str(disk.path / "lake")
    create_tables(lake, [table])
    before = objects(lake)
    disk.fill(left=64_000)
    seen = []

    def room():
        seen.append(objects(lake))
        disk.make_room()

    waits = Waits(room, after=3)
    pending = numbered(table.write(lake, rows(range(20_000)), 0.0, waits.patience))
    assert seen == [before]
    assert len(objects(lake)) == len(before) + 1
    DeltaLog(lake, table).append(pending.job, pending.files)
    assert ids(open_table(lake, "readings")) == list(range(20_000))


def test_a_full_disk_shows_no_half_of_a_commit_and_takes_it_once_there_is_room(
    disk, table, rows, ids
):
    lake = str(disk.path / "lake")
    create_tables(lake, [table])
    pending = Pending()
    for n in range(40):  # an entry of more than a page
        pending = numbered(table.write(lake, rows([n]), now=0.0), pending)
    before = objects(lake)
    disk.fill(left=4096)
    seen = []

    def room():
        assert ids(open_table(lake, "readings")) == []
        seen.append(objects(lake))
        disk.make_room()

    waits = Waits(room)
    log = DeltaLog(lake, table, waits.patience)
    assert log.append(pending.job, pending.files) == 40
    assert seen == [before]
    assert log.append(pending.job, pending.files) == 0
    assert ids(open_table(lake, "readings")) == list(range(40))


def test_a_disk_that_stays_full_fails_the_write_with_what_to_do(disk, table, rows):
    lake = str(disk.path / "lake")
    create_tables(lake, [table])
    disk.fill()
    waits = Waits(lambda: None, seconds=30)
    with pytest.raises(LakeUnavailable, match=r"No space left on device.*Make room on the disk"):
        table.write(lake, rows([1]), 0.0, waits.patience)
    assert not [path for path in objects(lake) if path.endswith(".parquet")]


def test_a_checkpoint_of_the_log_that_found_no_room_does_not_repeat_its_commit(
    disk, table, rows, ids
):
    lake = str(disk.path / "lake")
    waits = Waits(disk.make_room, after=1)
    log = DeltaLog(lake, table, waits.patience)
    pending, added = Pending(), []
    for n in range(100):
        pending = numbered(table.write(lake, rows([n]), now=0.0), pending)
        if n == 98:  # its version is 99, and Delta makes a checkpoint of every hundredth
            disk.fill(left=4096)
        added.append(log.append(pending.job, pending.files[-1:]))
    assert waits.waits == 1
    assert [n for n, files in enumerate(added) if not files] == [98]  # it was in when it failed
    assert ids(open_table(lake, "readings")) == list(range(100))
    assert open_table(lake, "readings").version() == 100
