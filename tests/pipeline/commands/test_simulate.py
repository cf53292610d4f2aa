"""`eddyline simulate`: as files, and published."""

import json
import os
import signal
import threading
import time
from functools import partial

import pytest
import typer
from typer.testing import CliRunner

from eddyline.io.simulate.publish import publish
from eddyline.io.simulate.truth import Truth
from eddyline.pipeline.commands.simulate import simulate_command

SMALL = ["--devices", "6", "--faulty", "0", "--hours", "0.003"]


@pytest.fixture
def run(tmp_path):
    app = typer.Typer()
    app.command()(simulate_command)
    sim = tmp_path / "sim"
    return sim, lambda *options: CliRunner().invoke(app, [str(sim), *options])


def test_without_a_target_it_writes_files(run):
    sim, simulate = run
    result = simulate("--devices", "6", "--hours", "0.2", "--faulty", "0")
    assert result.exit_code == 0, result.output
    assert {path.name for path in sim.iterdir()} == {"messages.jsonl", "devices.csv", "truth.json"}
    assert "Run the job on it" in result.output


def test_published_messages_are_all_there_and_the_truth_is_beside_them(run, tmp_path, monkeypatch):
    # At their time is test_publish's affair: the last repeated ones come a minute later.
    hasty = partial(publish, paced=False)
    monkeypatch.setattr("eddyline.pipeline.commands.simulate.publish", hasty)
    sim, simulate = run
    before = time.time()
    result = simulate(*SMALL, "--to", str(tmp_path / "in"), "--rate", "20")
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "in").glob("*.jsonl"))
    truth = Truth.read(sim / "truth.json")
    # A broken payload may itself hold a line break.
    assert sum(file.read_bytes().count(b"\n") for file in files) >= truth.messages > 150
    assert f"{truth.messages:,} messages published" in result.output
    assert not (sim / "messages.jsonl").exists()
    assert len((sim / "devices.csv").read_text().splitlines()) == 7
    assert before * 1e6 < truth.start < (before + 30) * 1e6


def test_ctrl_c_ends_it_and_what_was_sent_is_counted(run, tmp_path):
    _, simulate = run
    sent = tmp_path / "in"

    def interrupt():
        until = time.monotonic() + 30
        while time.monotonic() < until and not list(sent.glob("*.jsonl")):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = simulate(
        "--devices", "6", "--faulty", "0", "--hours", "1", "--rate", "20", "--to", str(sent)
    )
    thread.join()
    assert result.exit_code == 0, result.output
    number = sum(file.read_bytes().count(b"\n") for file in sent.glob("*.jsonl"))
    said = int(result.output.split(" messages published (stopped")[0].rpartition("\n")[2])
    assert said <= number <= said + 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rate", "5"], "--rate"),
        (["--to", "s3://bucket/in"], "--to"),
        (["--to", "in", "--rate", "5000", "--hours", "9"], "say at most 0.28 hours"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(run, options, words, capsys):
    _, simulate = run
    result = simulate("--faulty", "0", *options)
    assert result.exit_code == 2
    assert words in " ".join((result.output + capsys.readouterr().err).split())


def test_the_truth_is_json(run):
    sim, simulate = run
    simulate("--devices", "6", "--hours", "0.2", "--faulty", "0")
    assert json.loads((sim / "truth.json").read_text())["devices"] == 6
