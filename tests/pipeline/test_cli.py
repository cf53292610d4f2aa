"""The command line, as a person uses it: words, files and exit codes."""

import csv
import gzip
import io
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eddyline.pipeline import cli
from eddyline.schemas.dialects import DIALECTS
from eddyline.schemas.record import RECORD_NAMES
from eddyline.transforms.decode import Decoder

pytestmark = pytest.mark.job
ROOT = Path(__file__).parents[2]
EDDYLINE = Path(sys.executable).with_name("eddyline")


def eddyline(*arguments: str, code: int = 0):
    """Run a command in this process and hold its exit code."""
    result = CliRunner().invoke(cli.app, list(arguments))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A simulated fleet and its lake."""
    folder = tmp_path_factory.mktemp("cli")
    eddyline("simulate", str(folder), "--devices=4", "--sites=2", "--hours=0.5", "--faulty=0")
    eddyline(
        "run",
        f"--source={folder / 'messages.jsonl'}",
        f"--devices={folder / 'devices.csv'}",
        f"--lake={folder / 'lake'}",
        "--detector=moving_average",
    )
    return folder


@pytest.mark.parametrize("command", ["", "run", "replay", "demo", "simulate", "show", "schema"])
def test_help_explains_each_command(command):
    told = eddyline(*([command] if command else []), "--help").output
    assert "Usage:" in told
    if command in ("run", "replay"):
        assert "--allowed-lateness" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "--source: files to read"),
        (["run", "--source=none.jsonl"], "no file matches"),
        (["run", "--source=none.jsonl", "--shcema=x"], "no such option: --shcema=x"),
        (["run", f"--source={__file__}", "--shards=0"], "--shards"),
        (["run", f"--source={__file__}", "--schema=none"], "shipped: env_telemetry, room"),
        (["run", f"--source={__file__}", "--detector=none"], "unknown, choose from"),
        (["run", f"--source={__file__}", "--dry_run=maybe", "--num_workers=x"], "num_workers"),
        (["run", f"--source={__file__}", "--settings=none.yaml"], "none.yaml"),
        (["replay", "--lake=none", "--into=other"], "no lake here"),
        (["replay", "--lake=none"], "--into: the lake to write"),
        (["show", "minutes", "--lake=none"], "no lake here"),
        (["show", "minutes", "--json", "--csv"], "not both"),
        (["schema", "reading", "--dialect=cobol"], "--dialect: one of"),
        (["simulate", "x", "--devices=0"], "devices must be more than 0"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    arguments, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    told = " ".join(eddyline(*arguments, code=2).output.split())
    assert words in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_a_job_that_fails_says_why_and_ends_with_1(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(Decoder, "decode", fail)
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"{}\n")
    told = eddyline("run", f"--source={source}", f"--lake={tmp_path / 'lake'}", code=1).output
    assert "The job failed:" in told
    assert "the disk is full" in " ".join(told.split())


def test_a_run_prints_the_balance_of_what_came_in(folder, tmp_path):
    told = eddyline(
        "run", f"--source={folder / 'messages.jsonl'}", f"--lake={tmp_path / 'lake'}"
    ).output
    truth = json.loads((folder / "truth.json").read_text())
    assert f"{truth['messages']:,} messages" in " ".join(told.split())
    assert f"= {truth['readings']:,} readings" in " ".join(told.split())
    assert f"+ {sum(truth['malformed'].values()):,} dead letters:" in " ".join(told.split())


@pytest.mark.parametrize("view", ["devices", "readings", "minutes", "anomalies", "dead-letters"])
def test_each_view_is_a_table_json_and_csv_of_the_same_rows(folder, view):
    lake = f"--lake={folder / 'lake'}"
    rows = [
        json.loads(line)
        for line in eddyline("show", view, lake, "--json", "--limit=9").stdout.splitlines()
    ]
    table = list(csv.reader(io.StringIO(eddyline("show", view, lake, "--csv", "--limit=9").stdout)))
    assert len(table) == len(rows) + 1 <= 10
    if view != "anomalies":
        assert rows
        assert table[0] == list(rows[0])
    assert eddyline("show", view, lake).exit_code == 0


def test_rows_can_be_chosen_by_device_site_and_time(folder):
    lake = f"--lake={folder / 'lake'}"
    one = eddyline("show", "devices", lake, "--json", "--limit=1").stdout
    device, site = json.loads(one)["device_id"], json.loads(one)["site"]
    chosen = ["--from=2026-01-05T06:10", "--to=2026-01-05T06:20", f"--site={site}", "--limit=500"]
    found = eddyline("show", "readings", lake, "--json", f"--device={device[:-1]}?", *chosen).stdout
    rows = [json.loads(line) for line in found.splitlines()]
    assert 30 <= len(rows) <= 120
    assert {row["device_id"][:-1] for row in rows} == {device[:-1]}
    assert all("T06:1" in row["event_time"] for row in rows)


def test_every_record_prints_in_every_dialect():
    for record in RECORD_NAMES:
        for dialect in DIALECTS:
            told = eddyline("schema", record, f"--dialect={dialect}").stdout
            assert told.strip()
            if dialect != "arrow":
                json.loads(told)


def test_compact_leaves_the_rows_as_they_are(folder):
    lake = f"--lake={folder / 'lake'}"
    before = eddyline("show", "readings", lake, "--csv", "--limit=100000").stdout
    told = eddyline("compact", lake).output
    assert "readings" in told
    assert eddyline("show", "readings", lake, "--csv", "--limit=100000").stdout == before


def test_ctrl_c_stops_with_130_and_a_word(tmp_path):
    source = tmp_path / "in.jsonl"
    line = b'{"device_id":"d","timestamp":"2026-01-05T06:00:00Z","temperature":1}\n'
    source.write_bytes(line * 2_000_000)
    process = subprocess.Popen(
        [EDDYLINE, "run", f"--source={source}", f"--lake={tmp_path / 'lake'}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 120
    while not (tmp_path / "lake" / "readings").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Stopped." in told
    assert "Traceback" not in told


def test_the_demo_is_fresh_each_time_and_tells_what_it_found(tmp_path):
    arguments = ["demo", f"--folder={tmp_path}", "--devices=6", "--hours=2", "--seed=5"]
    first = eddyline(*arguments).output
    second = eddyline(*arguments).output
    assert "Planted faults" in first
    assert "False incidents:" in first
    assert "does not hold" not in first + second
    balance = [line for line in first.splitlines() if line.strip().startswith(("=", "+"))]
    assert len(balance) >= 3
    assert balance == [ln for ln in second.splitlines() if ln.strip().startswith(("=", "+"))]


def commands_of(page: str) -> list[str]:
    """The commands in a page's fenced blocks, in order."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    commands: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("```"):
            inside = not inside
        elif inside and line.startswith((".venv/bin/eddyline", "make ")):
            commands.append(line.removeprefix(".venv/bin/"))
    return commands


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_commands_of_the_pages_run_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    line = b'{"device_id":"boiler-7","t":1767592800,"flow":60.5,"burner":true}\n'
    (tmp_path / "in" / "a.jsonl.gz").write_bytes(gzip.compress(line))
    (tmp_path / "boilers.jsonl").write_bytes(line)
    quickstart = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    schema = re.search(r"```json\n(.*?)```", quickstart, re.DOTALL)
    assert schema
    policy = re.search(r"## 5.*?```yaml\n(.*?)```", quickstart, re.DOTALL)
    assert policy
    (tmp_path / "policy.yaml").write_text(policy[1])
    for name in ("my.avsc", "boiler.avsc"):
        (tmp_path / name).write_text(schema[1])
    commands = commands_of(page)
    assert len(commands) >= 3
    for command in commands:
        name, *arguments = shlex.split(command)
        if name == "make":
            targets = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{arguments[0]}:", targets, re.MULTILINE), command
        else:
            eddyline(*arguments)


def test_the_settings_file_of_the_quickstart_is_accepted(tmp_path):
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    text = re.search(r"## Settings in a file\n.*?```yaml\n(.*?)```", page, re.DOTALL)
    assert text
    file = tmp_path / "settings.yaml"
    file.write_text(text[1])
    settings = cli.settings_of({}, str(file))
    assert [rule.rule for rule in settings.drop] == ["tests", "heartbeats"]
