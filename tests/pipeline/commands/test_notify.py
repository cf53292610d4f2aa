"""`eddyline notify`: channels are tried, dead letters sent again."""

import json
import time
from pathlib import Path

import apache_beam as beam
import msgspec
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from typer.testing import CliRunner

from eddyline.io.alerts.senders import open_sender
from eddyline.io.lake.read import open_table
from eddyline.io.lake.write import WriteLake, create_tables
from eddyline.pipeline.commands.notify import app
from eddyline.pipeline.commands.resend import INCIDENT, TABLES, Unchanging, undelivered_in
from eddyline.transforms.alerts.alert_message import example
from eddyline.transforms.notify import Delivery, Notify
from eddyline.transforms.policy.policy import read_policy

RUNNER = CliRunner(env={"COLUMNS": "200"})


@pytest.fixture
def policy(tmp_path):
    """A policy file; every alert goes to one file, in a folder that may not be there."""

    def write(path, more=""):
        file = tmp_path / "policy.yaml"
        file.write_text(
            f"channels:\n  log: {{kind: file, path: {path}, limits: {{attempts: 1}}}}\n{more}"
            "routes:\n  - {name: all, channels: [log]}\n"
        )
        return str(file)

    return write


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_each_channel_gets_a_test_alert(policy, tmp_path):
    told = RUNNER.invoke(app, ["test", "--policy", policy(tmp_path / "alerts")])
    assert told.exit_code == 0, told.output
    assert "delivered" in told.output
    (line,) = lines(tmp_path / "alerts")
    assert line["key"].startswith("eddyline-test-")
    assert "a test of eddyline" in line["subject"]


def test_a_channel_that_fails_is_exit_code_1_and_says_what_to_do(policy, tmp_path):
    more = "  chat: {kind: slack, webhook: env:NO_SUCH_SECRET}\n"
    told = RUNNER.invoke(app, ["test", "--policy", policy(tmp_path / "alerts", more)])
    assert told.exit_code == 1
    assert "env:NO_SUCH_SECRET is not set" in told.output
    assert "Set the secret that the policy" in told.output
    assert len(lines(tmp_path / "alerts")) == 1


def test_one_channel_can_be_chosen(policy, tmp_path):
    more = "  chat: {kind: slack, webhook: env:NO_SUCH_SECRET}\n"
    file = policy(tmp_path / "alerts", more)
    assert RUNNER.invoke(app, ["test", "--policy", file, "--channel", "log"]).exit_code == 0
    assert RUNNER.invoke(app, ["test", "--policy", file, "--channel", "none"]).exit_code == 2


def test_a_policy_that_is_not_there_is_used_wrongly(tmp_path):
    assert RUNNER.invoke(app, ["test", "--policy", str(tmp_path / "no.yaml")]).exit_code == 2


def tell(lake, policy):
    """A bounded job that tells two incidents into a lake."""
    with Path(policy).open("rb") as file:
        read = read_policy(policy, file.read())
    delivery = Delivery(lambda: Unchanging(read), open_sender, time.time, time.sleep, patience=1.0)
    rows = [
        msgspec.structs.asdict(msgspec.structs.replace(example(), incident_id=name))
        for name in ("a", "b")
    ]
    create_tables(lake, TABLES)
    with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as job:
        batch = pa.RecordBatch.from_pylist(rows, schema=INCIDENT)
        notified = job | beam.Create([batch]) | Notify(delivery)
        _ = {
            "deliveries": notified.deliveries,
            "dead_letters": notified.dead_letters,
        } | WriteLake(lake, TABLES)


def outcomes(lake):
    rows = open_table(lake, "deliveries").to_pyarrow_table().to_pylist()
    return sorted((row["key"], row["outcome"]) for row in rows)


@pytest.mark.job
def test_dead_letters_are_sent_again_until_they_are_taken_and_then_no_more(policy, tmp_path):
    lake, blocked = str(tmp_path / "lake"), tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    file = policy(blocked / "alerts")
    tell(lake, file)
    refused = [("a:0:opened", "refused"), ("b:0:opened", "refused")]
    assert outcomes(lake) == refused

    again = RUNNER.invoke(app, ["resend", "--policy", file, "--lake", lake])
    assert again.exit_code == 1, again.output
    assert "0 delivered, 2 refused once more" in again.output
    assert outcomes(lake) == sorted(refused * 2)

    blocked.unlink()
    again = RUNNER.invoke(app, ["resend", "--policy", file, "--lake", lake])
    assert again.exit_code == 0, again.output
    assert "2 delivered, 0 refused" in again.output
    assert sorted(line["key"] for line in lines(blocked / "alerts")) == ["a:0:opened", "b:0:opened"]

    assert undelivered_in(lake) == []
    again = RUNNER.invoke(app, ["resend", "--policy", file, "--lake", lake])
    assert "Nothing to send again." in again.output
    assert len(lines(blocked / "alerts")) == 2
