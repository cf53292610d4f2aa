"""The parts of `eddyline live`, each by itself."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from io import StringIO
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from eddyline.io.simulate.simulation import Simulation
from eddyline.pipeline.live.child import Child, Lost, free_port
from eddyline.pipeline.live.emulators import emulated
from eddyline.pipeline.live.lake import LakeNow, LakeWatch, Standing
from eddyline.pipeline.live.lived import Lived
from eddyline.pipeline.live.plan import Plan
from eddyline.pipeline.live.rounds import rounds
from eddyline.pipeline.live.session import make_room
from eddyline.pipeline.live.view import Now, as_lines, as_screen
from eddyline.pipeline.live.watchdog import Look, Watchdog
from eddyline.pipeline.prism import NoPrism, find_prism, get_prism
from eddyline.pipeline.run import Ended

COUNTS = {"messages": 3, "readings_decoded": 2, "dead_letters": 1, "dead_letter_malformed": 1}


def now_of(**changed) -> Now:
    fields = {
        "title": "Kinesis → Prism → live/lake",
        "phase": "running",
        "seconds": 3725.0,
        "devices": 50,
        "published": 4000,
        "publish_rate": 300.0,
        "behind": 0.0,
        "lag": 0.25,
        "reading_rate": 290.0,
        "counts": {"readings": 3900, "dead_letters": 8, "dead_letter_malformed": 8},
        "lake": LakeNow(7, 1, ()),
    }
    return Now(**{**fields, **changed})


# The watchdog


def test_a_job_that_waits_for_a_service_is_not_stuck_and_has_its_whole_time_after_it():
    dog = Watchdog(10.0)
    assert dog.trouble(Look(0.0, 100, 50, 1)) is None
    for second in range(5, 65):
        assert dog.trouble(Look(float(second), 200, 50, 1, waiting=True)) is None
    assert dog.trouble(Look(70.0, 200, 50, 1)) is None
    assert "nothing was read for 11 s" in str(dog.trouble(Look(81.0, 200, 50, 1)))


def test_reading_that_stands_still_is_told_only_while_something_is_unread():
    dog = Watchdog(10.0)
    assert dog.trouble(Look(0.0, 100, 100, 1)) is None
    assert dog.trouble(Look(500.0, 100, 100, 1)) is None
    assert dog.trouble(Look(505.0, 200, 100, 1)) is None
    assert (
        dog.trouble(Look(512.0, 200, 100, 1))
        == "nothing was read for 12 s, with 100 messages unread"
    )
    assert dog.trouble(Look(513.0, 200, 101, 1)) is None


def test_a_lake_without_commits_is_told_although_the_job_reads_on():
    dog = Watchdog(10.0)
    for second in range(10):
        assert dog.trouble(Look(second, second * 10, second * 10, 1)) is None
    assert "no commit for 11 s" in str(dog.trouble(Look(11.0, 110, 110, 1)))
    assert dog.trouble(Look(12.0, 120, 120, 2)) is None


@given(st.lists(st.tuples(st.floats(0.1, 9.9), st.integers(1, 50)), max_size=30))
def test_a_run_that_gets_on_is_never_in_trouble(steps):
    dog, at, number = Watchdog(10.0), 0.0, 0
    for passed, more in steps:
        at, number = at + passed, number + more
        assert dog.trouble(Look(at, number + 5, number, number)) is None


# Rounds


def test_rounds_go_on_in_order_with_new_ids_and_lose_no_late_message():
    first = Simulation(devices=4, sites=2, hours=0.1, faulty=0, late=0.1, duplicates=0, malformed=0)
    told = {}
    both = list(islice(rounds(first, lambda number, stream: told.update({number: stream})), 700))
    assert all(a <= b for (a, _), (b, _) in pairwise(both))
    payloads = [payload for _, payload in both]
    ids = re.findall(rb'"message_id":"([^"]+)"', b"".join(payloads))
    assert len(set(ids)) == len(ids) > 100
    # The first round is over: all of its messages came, also those that arrive in the second one.
    assert len(told) >= 3
    assert set(told[1].payloads) <= set(payloads)
    assert max(told[1].arrival_time) > told[2].truth.start


# Prism


def test_prism_is_found_where_the_variable_says_then_on_the_path_then_in_the_cache(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert find_prism({"PATH": ""}) is None
    for place in (".cache/eddyline/prism", "bin/prism", "own"):
        binary = tmp_path / place
        binary.parent.mkdir(parents=True, exist_ok=True)
        binary.touch(mode=0o755)
        known = {"PATH": str(tmp_path / "bin")}
        if place == "own":
            known["EDDYLINE_PRISM"] = str(binary)
        assert find_prism(known) == binary
    with pytest.raises(NoPrism, match="no program at /nowhere"):
        find_prism({"EDDYLINE_PRISM": "/nowhere"})


def test_where_prism_cannot_be_had_the_words_say_what_to_do(tmp_path, monkeypatch):
    from apache_beam.runners.portability.prism_runner import PrismJobServer

    def refused(*_):
        raise RuntimeError("no network")

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(PrismJobServer, "local_bin", refused)
    with pytest.raises(NoPrism, match=r"no Go.*no network.*Install Go.*EDDYLINE_PRISM"):
        get_prism(lambda _: None, {"PATH": ""})


def test_prism_is_built_by_go_into_the_cache(tmp_path, monkeypatch):
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text('#!/bin/sh\necho "$@ $CGO_ENABLED" > "$GOBIN/asked"; : > "$GOBIN/prism"\n')
    go.chmod(0o755)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    said = []
    found = get_prism(said.append, {"PATH": f"{go.parent}:/usr/bin:/bin"})
    assert found == tmp_path / ".cache/eddyline/prism"
    asked = (found.parent / "asked").read_text()
    assert re.search(r"install -ldflags -s -w .*/cmd/prism@v\d+\.\d+\.\d+ 0", asked)
    assert "Building" in said[0]


# Children


def test_a_child_is_ended_politely_then_hard_with_all_that_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr("eddyline.pipeline.live.child.GRACE", 0.5)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(1, flush=True); time.sleep(60)"
    )
    child = Child("deaf", [sys.executable, "-c", deaf], tmp_path / "log", listens=True)
    assert child.lines.readline() == b"1\n"
    child.end()
    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_ends_at_its_start_is_told_with_its_log(tmp_path):
    child = Child("it", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log")
    with pytest.raises(Lost, match=r"ended at its start.*log"):
        child.await_port(free_port(), 10.0)
    child.end()
    with pytest.raises(Lost, match="does not start"):
        Child("it", [str(tmp_path / "nothing")], tmp_path / "log")


PARENT = """
import sys, time
from pathlib import Path
from eddyline.pipeline.live.child import Child

# As the Pub/Sub emulator: a script that starts another program, and both hear no polite word.
script = "trap '' TERM HUP; sleep 300 & echo $$ $!; wait"
child = Child("a script", ["/bin/sh", "-c", script], Path(sys.argv[1]))
time.sleep(300)
"""


def test_a_child_and_what_it_started_do_not_outlive_a_parent_that_is_killed(tmp_path):
    log = tmp_path / "log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log)])
    wait_for(lambda: log.exists() and len(log.read_text().split()) == 2)
    started = [int(pid) for pid in log.read_text().split()]
    assert all(running(pid) for pid in started)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(running(pid) for pid in started))


def test_what_a_child_started_ends_with_it(tmp_path):
    log = tmp_path / "log"
    child = Child("a script", ["/bin/sh", "-c", "sleep 300 & echo $!; exit 3"], log)
    wait_for(lambda: child.gone)
    assert child.process.returncode == 3
    left = int(log.read_text())
    assert running(left)
    child.end()
    wait_for(lambda: not running(left))


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def running(pid):
    """Whether it is there and no zombie, which waits for whoever adopted it."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()[:1] not in ("", "Z")


def test_the_emulator_is_reached_by_the_variables_that_end_with_it(tmp_path, monkeypatch):
    pytest.importorskip("moto")
    monkeypatch.delenv("AWS_ENDPOINT_URL_KINESIS", raising=False)
    from eddyline.io.aws.client import make_client

    with emulated("kinesis", tmp_path) as stream:
        client = make_client("kinesis")
        records = [{"Data": b"%d" % n, "PartitionKey": f"{n}"} for n in range(20)]
        assert client.put_records(StreamName="telemetry", Records=records)["FailedRecordCount"] == 0
        found = []
        for shard in client.list_shards(StreamName="telemetry")["Shards"]:
            iterator = client.get_shard_iterator(
                StreamName="telemetry", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while records := (answer := client.get_records(ShardIterator=iterator, Limit=7))[
                "Records"
            ]:
                found += [int(record["Data"]) for record in records]
                iterator = answer["NextShardIterator"]
        client.close()
    assert sorted(found) == list(range(20))
    assert stream.child.gone
    assert "AWS_ENDPOINT_URL_KINESIS" not in os.environ


# The view and the end


def test_a_line_and_a_screen_say_what_is_known():
    told = now_of(
        lake=LakeNow(
            7,
            1,
            (
                Standing(
                    "mill-1",
                    datetime(2026, 1, 1, 12, tzinfo=UTC),
                    "event",
                    "error",
                    True,
                    "temperature [8] °C, expected 2 to 3",
                ),
            ),
        )
    )
    line = as_lines(told)
    assert "1:02:05 running: 4,000 published" in line
    assert "8 dead letters, 7 commits" in line
    console = Console(width=120, record=True, file=StringIO())
    console.print(as_screen(told))
    text = console.export_text()
    for words in ("8 malformed", "mill-1", "12:00:00", "[8] °C, expected 2 to 3", "0.2 s", "open"):
        assert words in text


def test_a_lake_that_is_not_there_yet_is_empty(tmp_path):
    assert LakeWatch(str(tmp_path / "none")).look() == LakeNow()


@pytest.mark.parametrize(
    ("published", "retried", "readings", "rows", "differ"),
    [
        (3, 0, 2, 2, []),
        (2, 1, 2, 2, []),
        (4, 0, 2, 2, ["4 messages published, 3 read"]),
        (2, 0, 2, 2, ["2 messages published, 3 read"]),
        (3, 0, 2, 1, ["2 readings counted, 1 in the lake"]),
        (
            3,
            0,
            1,
            1,
            ["readings, duplicates and dead letters are not what was read"],
        ),
    ],
)
def test_an_end_says_each_count_that_does_not_agree(published, retried, readings, rows, differ):
    ended = Ended("DONE", {**COUNTS, "readings": readings}, 1.0)
    lived = Lived(published, retried, ended, {"readings": rows, "dead_letters": 1})
    assert lived.differences == differ


def test_a_plan_refuses_what_makes_no_sense_and_knows_when_the_models_are_ready():
    with pytest.raises(ValueError, match="--rate must be more than 0"):
        Plan(rate=0)
    plan = Plan(devices=200, rate=100.0)
    task = plan.publishing("kinesis:telemetry")
    first = task.simulation(datetime(2026, 1, 1, tzinfo=UTC))
    assert first.warm_up * 3600 / first.cadence > 300


def test_only_what_an_earlier_run_left_is_taken_away(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "stop").touch()
    (tmp_path / "truth-1.json").touch()
    make_room(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
