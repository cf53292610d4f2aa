from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from eddyline.io.lake import RawZone, WriteLake, compact, open_table, read_raw
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.pending import Pending


@pytest.fixture
def lake(bucket):
    return f"s3://{bucket}/deep/down"


@pytest.mark.job
def test_a_job_writes_to_s3_and_is_read_back(
    lake, table, batches, ids, message_record, message_rows
):
    zone = RawZone(message_record)
    with beam.Pipeline(runner=FnApiRunner()) as job:
        made = job | "Readings" >> beam.Create(batches(range(400)), reshuffle=False)
        raw = job | "Raw" >> beam.Create(message_rows(5).to_batches(), reshuffle=False)
        _ = {"readings": made, "raw": raw} | WriteLake(lake, [table, zone], flush_bytes=2_000)
    assert ids(open_table(lake, "readings")) == list(range(400))
    assert sum(batch.num_rows for batch in read_raw(lake)) == 5
    zone.write(lake, message_rows(1), now=0.0)
    done = {table.table: table for table in compact(lake, retention_hours=0, force=True)}
    assert done["readings"].merged > 1
    assert done["raw"].removed == 1
    assert ids(open_table(lake, "readings")) == list(range(400))
    assert sum(batch.num_rows for batch in read_raw(lake)) == 5


@pytest.mark.job
def test_commits_that_race_on_s3_are_settled_by_conditional_puts(lake, table, rows, ids):
    def job(writer):
        log, pending = DeltaLog(lake, table), Pending()
        for n in range(4):
            files = table.write(lake, rows([writer * 100 + n]), now=0.0)
            pending = pending.number([file.encode() for file in files], "p")
            log.append(pending.job, pending.files)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(job, writer) for writer in range(3)]:
            done.result()
    assert ids(open_table(lake, "readings")) == [w * 100 + n for w in range(3) for n in range(4)]
