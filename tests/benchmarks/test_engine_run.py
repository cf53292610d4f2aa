import os

import pytest

from benchmarks.engines import throughput
from benchmarks.engines.cores import worker_core
from benchmarks.engines.engine import Failed, Unavailable
from benchmarks.engines.prism import prism
from benchmarks.engines.run import Run, lead_to
from benchmarks.engines.workload import Workload
from eddyline.pipeline.live.child import free_port


@pytest.mark.job
@pytest.mark.usefixtures("prism")
def test_a_backlog_is_measured_apart_from_its_warm_up(tmp_path, monkeypatch):
    port = free_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "")  # so that what `lead_to` sets is taken back
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "")
    lead_to(port)
    core = worker_core(os.sched_getaffinity(0))
    said, workload = [], Workload(readings=4_000, devices=100, per_message=2)
    folder = tmp_path / "run"
    folder.mkdir()
    with prism(tmp_path, said.append) as engine:
        took = throughput.measure(
            engine, throughput.MAP_ONLY, workload, 1_000, port, folder, core, said.append
        )
    assert took.readings == 3_000
    assert took.seconds > 0
    assert took.worker > 0
    assert took.megabytes[0] > 50
    assert "3,000 readings released" in said[-1]


def test_an_engine_that_is_not_there_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("EDDYLINE_PRISM", str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="no program"), prism(tmp_path, print):
        pass


def test_a_run_without_headway_ends_with_words(tmp_path, monkeypatch):
    class Alive:
        gone, name, log = False, "job", tmp_path / "job.log"

    (tmp_path / "job.log").write_text("first\nlast word\n\n")
    monkeypatch.setattr("benchmarks.engines.run.PATIENCE", 0.2)
    core = worker_core(os.sched_getaffinity(0))
    run = Run(Alive(), Alive(), None, throughput.MAP_ONLY, tmp_path, core)
    with pytest.raises(Failed, match=r"0 of 5 are through.*last word"):
        run.until(5, "warm-up")
