import time

import pytest

from eddyline.io.lake.compact import compact
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.raw import RawZone
from eddyline.io.lake.read import open_table, read_raw


@pytest.fixture
def lake(tmp_path):
    return str(tmp_path)


def write(lake, target, rows, pending):
    files = target.write(lake, rows, now=0.0)
    return pending.number([file.encode() for file in files], "p")


def test_rows_and_transactions_stay_and_small_files_go(lake, table, rows, ids, tmp_path):
    pending = Pending()
    for first in range(0, 50, 10):
        pending = write(lake, table, rows(range(first, first + 10)), pending)
    log = DeltaLog(lake, table)
    log.append(pending.job, pending.files)
    orphan = table.write(lake, rows([7]), now=0.0)[0]
    (done,) = compact(lake, retention_hours=0, force=True)
    assert (done.table, done.merged, done.into) == ("readings", 5, 1)
    assert done.removed == 6
    assert not (tmp_path / "readings" / orphan.path).exists()
    assert log.append(pending.job, pending.files) == 0
    assert ids(open_table(lake, "readings")) == list(range(50))
    again = write(lake, table, rows([99]), pending)
    assert log.append(again.job, again.files) == 1


def test_files_that_wait_for_their_commit_are_kept_within_the_retention(lake, table, rows, ids):
    log = DeltaLog(lake, table)
    log.create()
    pending = write(lake, table, rows([1, 2]), Pending())
    (done,) = compact(lake)
    assert done.removed == 0
    log.append(pending.job, pending.files)
    assert ids(open_table(lake, "readings")) == [1, 2]


def test_a_retention_that_endangers_running_jobs_needs_force(lake):
    with pytest.raises(ValueError, match="retention_hours: 23 is below 24"):
        compact(lake, retention_hours=23)


def test_raw_files_without_a_commit_go_after_the_retention(lake, message_record, message_rows):
    zone = RawZone(message_record)
    pending = write(lake, zone, message_rows(3), Pending())
    DeltaLog(lake, zone.log).append(pending.job, pending.files)
    zone.write(lake, message_rows(4), now=0.0)
    now, later = compact(lake), compact(lake, clock=lambda: time.time() + 169 * 3600)
    assert [done.removed for done in now + later if done.table == "raw"] == [0, 1]
    assert sum(batch.num_rows for batch in read_raw(lake)) == 3
