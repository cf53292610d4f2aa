import json
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from benchmarks.engines.lake_log import Commit, LakeRows, commits
from benchmarks.engines.latency import Latency, Way, raw_zone, scored
from benchmarks.engines.map_only import CountMessages, counted, latencies
from benchmarks.engines.processor_time import processor_seconds
from benchmarks.engines.report import console, latency_table, throughput_table
from benchmarks.engines.throughput import Measured
from eddyline.io.lake.raw import RawZone
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.message import MESSAGE_SCHEMA
from eddyline.schemas.record import load_contract


def commit(lake, seconds):
    times = pa.array([round(s * 1e6) for s in seconds], pa.timestamp("us", "UTC"))
    rows = pa.table({"event_time": times, "arrival_time": times})
    write_deltalake(lake / "readings", rows, mode="append")


def test_rows_and_commits_of_a_lake_are_those_of_its_log(tmp_path):
    rows = LakeRows(tmp_path / "readings")
    assert rows.look() == 0
    commit(tmp_path, [1.0, 2.0])
    assert rows.look() == 2
    commit(tmp_path, [3.0])
    assert rows.look() == 3
    assert [found.rows for found in commits(tmp_path / "readings")] == [2, 1]
    assert rows.seen == max(found.seen for found in commits(tmp_path / "readings"))


def test_a_readings_way_to_the_lake_ends_with_the_commit_that_shows_it(tmp_path):
    commit(tmp_path, [100.0, 200.0])
    [only] = commits(tmp_path / "readings")
    log = tmp_path / "readings/_delta_log/00000000000000000000.json"
    os.utime(log, (203.0, 203.0))
    assert isinstance(only, Commit)
    assert scored(tmp_path, since=0.0).tolist() == [103.0, 3.0]
    assert scored(tmp_path, since=150.0).tolist() == [3.0]


def test_a_messages_way_to_the_raw_zone_ends_with_the_commit_that_names_its_file(tmp_path):
    row = {"payload": b"{}", "attributes": [], "source": "s", "position": "p"}
    rows = [row | {"arrival_time": 100_000_000}, row | {"arrival_time": 200_000_000}]
    zone = RawZone(avro_schema(load_contract("room").record("message")))
    messages = pa.Table.from_pylist(rows, schema=MESSAGE_SCHEMA)
    [index] = zone.write(str(tmp_path), messages, 0.0)
    named = pq.read_table(tmp_path / "raw_files" / index.path)
    write_deltalake(tmp_path / "raw_files", named)
    os.utime(tmp_path / "raw_files/_delta_log/00000000000000000000.json", (203.0, 203.0))
    assert raw_zone(tmp_path, since=0.0).tolist() == [103.0, 3.0]
    assert raw_zone(tmp_path, since=150.0).tolist() == [3.0]


def test_the_map_only_job_keeps_how_long_each_message_took(tmp_path):
    path = tmp_path / "counts"
    row = {"payload": b"{}", "attributes": [], "arrival_time": 0, "source": "s", "position": "p"}
    batch = pa.RecordBatch.from_pylist([row] * 3, schema=MESSAGE_SCHEMA)
    assert counted(path) == 0
    assert list(CountMessages(str(path)).process(batch)) == [3]
    assert counted(path) == 3
    assert (latencies(path) > 1e9).all()
    assert len(latencies(path, skip=2)) == 1


def test_processor_time_is_that_of_the_processes_asked_for():
    busy = "import sys, time\nwhile time.process_time() < 0.3: pass\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE) as child:
        while processor_seconds([child.pid]) < 0.2:  # the kernel counts in ticks
            time.sleep(0.01)
        assert processor_seconds([child.pid]) < 5.0
        assert processor_seconds([child.pid, child.pid]) >= 0.4
        child.communicate()
    assert processor_seconds([child.pid]) == 0.0


def test_a_process_whose_name_has_brackets_is_read(tmp_path):
    (tmp_path / "7").mkdir()
    fields = " ".join(["S", "1", "1", "1", "0", "0", "0", "0", "0", "0", "0", "30", "20", "5", "1"])
    (tmp_path / "7/stat").write_text(f"7 (a ) b) {fields} 0 0")
    ticks = os.sysconf("SC_CLK_TCK")
    assert processor_seconds([7], tmp_path) == pytest.approx(56 / ticks)


def test_the_tables_hold_what_was_measured():
    took = Measured(1_000_000, 20.0, 25.0, 5.0, 1.0, (512.0, 256.0))
    waits = Latency([Way("counted", np.linspace(0.0, 1.0, 101))], 0.5, 0.25)
    terminal = console()
    terminal.print(throughput_table("rates", {("Prism", "full job", 50): took}))
    terminal.print(latency_table("waits", {("Prism", "map only"): waits}))
    text = terminal.export_text()
    assert "40,000" in text
    assert "50,000" in text
    assert "0.99" in text
    assert json.dumps(50) in text
