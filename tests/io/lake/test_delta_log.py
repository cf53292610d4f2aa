from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from eddyline.io.lake.delta_log import DeltaLog, RewoundStateError
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.read import open_table
from eddyline.io.lake.tables import Table


@pytest.fixture
def lake(tmp_path):
    return str(tmp_path)


@pytest.fixture
def number(lake, table, rows):
    def write(*groups, pending=None):
        pending = pending or Pending()
        for group in groups:
            files = table.write(lake, rows(group), now=0.0)
            pending = pending.number([file.encode() for file in files], "p")
        return pending

    return write


def test_a_number_committed_twice_counts_once(lake, table, number, ids):
    pending = number([1, 2], [3])
    assert DeltaLog(lake, table).append(pending.job, pending.files) == 2
    assert DeltaLog(lake, table).append(pending.job, pending.files) == 0
    assert ids(open_table(lake, "readings")) == [1, 2, 3]


def test_a_number_committed_twice_counts_once_after_a_compaction(lake, table, number, ids):
    pending = number([1, 2], [3])
    log = DeltaLog(lake, table)
    log.append(pending.job, pending.files)
    delta = open_table(lake, "readings")
    assert delta.optimize.compact()["numFilesRemoved"] == 2
    delta.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    delta.create_checkpoint()
    for again in (log, DeltaLog(lake, table)):
        assert again.append(pending.job, pending.files) == 0
    more = number([4], pending=pending)
    assert log.append(more.job, more.files) == 1
    assert ids(open_table(lake, "readings")) == [1, 2, 3, 4]


def test_only_the_files_behind_the_transaction_are_added(lake, table, number, ids):
    pending = number([1], [2], [3])
    log = DeltaLog(lake, table)
    log.append(pending.job, pending.files[:2])
    assert log.append(pending.job, pending.files) == 1
    assert ids(open_table(lake, "readings")) == [1, 2, 3]


def test_the_same_file_under_two_jobs_counts_once(lake, table, number, ids):
    # A batch engine that repeats a bundle has lost the state, the file's path is the same.
    pending = number([1], [2])
    log = DeltaLog(lake, table)
    log.append(pending.job, pending.files)
    log.append("another attempt", pending.files)
    assert ids(open_table(lake, "readings")) == [1, 2]


def test_jobs_that_write_at_once_lose_and_double_nothing(lake, table, number, ids):
    writers, commits = 4, 5
    start = Barrier(writers + 1)
    jobs = [
        number(*([w * 1000 + n, w * 1000 + 500 + n] for n in range(commits)))
        for w in range(writers)
    ]

    def job(pending):
        log = DeltaLog(lake, table)
        start.wait()
        for entry in pending.files:
            log.append(pending.job, [entry])

    def stranger():
        start.wait()
        DeltaLog(lake, table).create()
        for n in range(commits):
            row = {"id": [9000 + n], "event_time": [n], "value": [0.0], "event_date": [0]}
            write_deltalake(f"{lake}/readings", pa.table(row, schema=table.columns), mode="append")

    with ThreadPoolExecutor(writers + 1) as pool:
        for done in [*(pool.submit(job, pending) for pending in jobs), pool.submit(stranger)]:
            done.result()
    wanted = [
        w * 1000 + half + n for w in range(writers) for n in range(commits) for half in (0, 500)
    ]
    assert ids(open_table(lake, "readings")) == sorted(wanted + [9000 + n for n in range(commits)])


def test_a_zombie_of_the_same_job_commits_nothing_twice(lake, table, number, ids):
    pending = number(*([n] for n in range(8)))
    start = Barrier(2)

    def attempt():
        log = DeltaLog(lake, table)
        start.wait()
        return sum(log.append(pending.job, pending.files[: n + 1]) for n in range(8))

    with ThreadPoolExecutor(2) as pool:
        added = [done.result() for done in [pool.submit(attempt) for _ in range(2)]]
    assert sum(added) == 8
    assert ids(open_table(lake, "readings")) == list(range(8))


def test_a_commit_goes_through_beside_a_compaction(lake, table, number, ids):
    first = number([1], [2])
    log = DeltaLog(lake, table)
    log.append(first.job, first.files)
    stale = DeltaLog(lake, table)
    stale.create()
    open_table(lake, "readings").optimize.compact()
    more = number([3], pending=first)
    assert stale.append(more.job, more.files) == 1
    assert ids(open_table(lake, "readings")) == [1, 2, 3]


def test_a_table_is_created_once_by_many(lake, table):
    start = Barrier(6)

    def create():
        start.wait()
        DeltaLog(lake, table).create()

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(create) for _ in range(6)]:
            done.result()
    assert open_table(lake, "readings").version() == 0


def test_a_new_channel_is_a_new_column_and_old_rows_have_nulls(lake, table, number, ids):
    pending = number([1])
    DeltaLog(lake, table).append(pending.job, pending.files)
    wider = Table(table.name, table.schema.append(pa.field("lux", pa.float64())), "event_time")
    row = {"id": [2], "event_time": [5], "value": [None], "lux": [7.0]}
    files = wider.write(lake, pa.table(row, schema=wider.schema), now=0.0)
    more = pending.number([file.encode() for file in files], "p")
    DeltaLog(lake, wider).append(more.job, more.files)
    back = open_table(lake, "readings").to_pyarrow_dataset().to_table().sort_by("id")
    assert back["lux"].to_pylist() == [None, 7.0]


def test_a_column_of_another_type_is_refused(lake, table):
    DeltaLog(lake, table).create()
    other = pa.schema([("id", pa.string()), ("event_time", pa.timestamp("us", "UTC"))])
    with pytest.raises(ValueError, match="column id is int64 on storage and string"):
        DeltaLog(lake, Table(table.name, other, "event_time")).create()


def test_a_file_that_is_gone_is_never_committed(lake, table, number, tmp_path, ids):
    pending = number([1], [2])
    next((tmp_path / "readings").rglob("*.parquet")).unlink()
    with pytest.raises(FileNotFoundError, match="gathered and not committed"):
        DeltaLog(lake, table).append(pending.job, pending.files)
    assert ids(open_table(lake, "readings")) == []


def test_a_state_older_than_the_lake_is_refused(lake, table, number):
    savepoint = number([1])
    log = DeltaLog(lake, table)
    later = number([2], [3], pending=savepoint)
    log.append(later.job, later.files)
    log.check(later.job, later.next)
    with pytest.raises(RewoundStateError, match="number 2 next and has committed up to 3"):
        log.check(savepoint.job, savepoint.next)


def test_a_reader_never_sees_a_file_before_its_commit(lake, table, number, tmp_path):
    DeltaLog(lake, table).create()
    number([1, 2])
    assert list((tmp_path / "readings").rglob("*.parquet"))
    assert DeltaTable(tmp_path / "readings").to_pyarrow_table().num_rows == 0
