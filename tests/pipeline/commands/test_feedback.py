import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from eddyline.pipeline.cli import app
from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.incidents.command import Command, parse_command


def eddyline(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def lake(tmp_path):
    rows = [
        ("ae6b", "opened", "freezer-7", "condition"),
        ("ae6b", "resolved", "freezer-7", "condition"),
        ("ae7c", "opened", "freezer-8", "event"),
        ("bb01", "opened", None, "storm"),
    ]
    names = ("incident_id", "transition", "device_id", "kind")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    write_deltalake(str(tmp_path / "lake" / "incidents"), table)
    return tmp_path / "lake"


def test_the_message_is_one_that_the_job_reads(lake, tmp_path):
    to = tmp_path / "said"
    told = eddyline("feedback", "ae6", "false_alarm", f"--lake={lake}", f"--to={to}", "--by=ann")
    assert told.exit_code == 0, told.output
    (file,) = to.glob("*.jsonl")
    now = round(datetime.now(UTC).timestamp() * 1e6)
    command = parse_command(file.read_bytes().strip(), now, TimeBounds())
    assert isinstance(command, Command)
    assert (command.incident_id, command.device_id, command.kind) == (
        "ae6b",
        "freezer-7",
        "condition",
    )
    assert (command.action, command.by) == ("false_alarm", "ann")
    assert 0 <= now - command.time < 300_000_000


def test_without_a_place_it_is_printed(lake):
    told = eddyline("feedback", "ae7c", "acknowledge", f"--lake={lake}", "--at=2026-01-05T06:00Z")
    assert json.loads(told.stdout)["event_time"] == "2026-01-05T06:00:00Z"


@pytest.mark.parametrize(
    ("begins", "words"),
    [("ae", "2 incidents"), ("ff", "0 incidents"), ("bb", "a storm has no feedback of its own")],
)
def test_it_must_be_one_incident_of_a_device(lake, begins, words):
    told = eddyline("feedback", begins, "confirmed", f"--lake={lake}")
    assert told.exit_code == 2
    assert words in told.output
