"""Each thing that a run needs: found well, missing, forbidden."""

import importlib.util
import json
import os
import time
from pathlib import Path

import pytest
import typer
from google.api_core.exceptions import Forbidden, MethodNotImplemented, NotFound
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from typer.testing import CliRunner

from eddyline.io.rows.table import row_table
from eddyline.pipeline.doctor import doctor
from eddyline.pipeline.doctor.check import Check, Ill, worst
from eddyline.pipeline.doctor.command import PASS_ON, as_json_text, doctor_command
from eddyline.pipeline.doctor.google import granted
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.settings import Settings
from eddyline.schemas.bigquery import bigquery_schema
from eddyline.schemas.record import load_contract

TABLES = ("minutes", "incidents")


def found(plan, **arguments):
    return {check.name.partition(" ")[0]: check for check in doctor(plan, **arguments)}


# Files and the lake


def test_a_run_that_has_all_it_needs_is_well(tmp_path):
    (tmp_path / "in.jsonl").write_text("{}\n")
    (tmp_path / "d.csv").write_text("device_id,site\na,Bern\nb,Bern\n")
    (tmp_path / "p.yaml").write_text("rules:\n- match: {site: Bern}\n  quiet: 10m\n")
    checks = doctor(
        Settings(
            source=str(tmp_path / "*.jsonl"),
            devices=str(tmp_path / "d.csv"),
            policy=str(tmp_path / "p.yaml"),
            lake=str(tmp_path / "lake"),
        ),
        beam_options([], runner="FnApiRunner"),
    )
    assert [(check.name.split()[0], check.outcome) for check in checks] == [
        ("schema", "ok"),
        ("engine", "ok"),
        ("source", "ok"),
        ("registry", "ok"),
        ("policy", "ok"),
        ("lake", "ok"),
    ]
    assert [check.found for check in checks][2:4] == ["1 files, 3 bytes", "2 devices"]


def test_nothing_stays_behind(tmp_path):
    lake = tmp_path / "deep" / "lake"
    assert found(Settings(lake=str(lake)))["lake"].found == "writable; it will be new"
    assert not lake.exists()
    lake.mkdir(parents=True)
    (lake / "kept").touch()
    assert found(Settings(lake=str(lake)))["lake"].found == "writable"
    assert [path.name for path in lake.iterdir()] == ["kept"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_lake_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    check = found(Settings(lake=str(tmp_path / "lake")))["lake"]
    assert (check.outcome, "cannot write" in check.found) == ("failed", True)


def test_a_lake_whose_place_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    check = found(Settings(lake=str(tmp_path / "file" / "lake")))["lake"]
    assert check.outcome == "failed"
    assert "--lake" in check.remedy


def test_each_thing_that_is_wrong_is_told_and_ends_none_of_the_others(tmp_path):
    (tmp_path / "d.csv").write_text("device_id,latitude\na,99\n")
    (tmp_path / "p.yaml").write_text("rulez: []\n")
    checks = found(
        Settings(
            schema="rooom",
            source=str(tmp_path / "*.jsonl"),
            devices=str(tmp_path / "d.csv"),
            policy=str(tmp_path / "p.yaml"),
            lake="ftp://lake",
        )
    )
    assert {check.outcome for check in checks.values()} == {"failed"}
    assert "no file matches" in checks["source"].found
    assert "rulez" in checks["policy"].found
    checks = found(Settings(devices=str(tmp_path / "d.csv"), policy=str(tmp_path / "none.yaml")))
    assert "latitude" in checks["registry"].found
    assert "cannot be read" in checks["policy"].found


def test_a_registry_without_devices_is_warned_of(tmp_path):
    (tmp_path / "d.csv").write_text("device_id\n")
    assert found(Settings(devices=str(tmp_path / "d.csv")))["registry"].outcome == "warning"


# The warehouse


def service(*path):
    """A service of another folder's tests."""
    file = Path(__file__).parents[1].joinpath(*path)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bigquery(monkeypatch):
    module = service("io", "warehouse", "fake_bigquery.py")
    contract = load_contract("room")
    tables = {f"t.{name}": bigquery_schema(row_table(contract, name).record) for name in TABLES}
    fake = module.FakeBigQuery(tables)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", fake.url)
    yield fake
    fake.close()
    assert set(fake.violations) <= {"HEAD /"}  # of the clock's check


def tables_of(**more):
    plan = Settings(warehouse="p.t", warehouse_tables=TABLES, **more)
    return {check.name: check for check in doctor(plan)}


def test_tables_that_are_as_the_job_writes_them_are_well(bigquery):
    checks = tables_of()
    assert worst(checks.values()) == "ok"
    assert "we may insert" in checks["warehouse minutes"].found


def test_a_table_that_is_not_there_is_told_with_its_tool(bigquery):
    del bigquery.tables["t.incidents"]
    checks = tables_of()
    assert checks["warehouse minutes"].outcome == "ok"
    assert "p.t.incidents is not there" in checks["warehouse incidents"].found
    assert "Terraform" in checks["warehouse incidents"].remedy
    assert "eddyline schema incident --dialect bigquery" in checks["warehouse incidents"].remedy


def test_a_table_of_other_columns_is_told_by_their_names(bigquery):
    columns = {column["name"]: column for column in bigquery.tables["t.minutes"]}
    columns["readings"]["type"] = "STRING"
    columns["site"]["mode"] = "REQUIRED"
    bigquery.tables["t.minutes"].remove(columns["humidity_mean"])
    bigquery.tables["t.minutes"].append({"name": "own", "type": "STRING", "mode": "NULLABLE"})
    check = tables_of()["warehouse minutes"]
    assert check.found == (
        "p.t.minutes: site is REQUIRED and not NULLABLE; readings is STRING and not INTEGER; "
        "no column humidity_mean"
    )


@pytest.mark.parametrize("permission", ["bigquery.tables.get", "bigquery.tables.updateData"])
def test_a_missing_permission_of_the_warehouse_is_told_by_its_name(bigquery, permission):
    bigquery.denied = {permission}
    check = tables_of()["warehouse minutes"]
    assert check.found == f"p.t.minutes: permission missing: {permission}"
    assert permission in check.remedy


def test_a_clock_that_is_wrong_is_told(bigquery):
    assert tables_of()["clock"].outcome == "ok"
    bigquery.clock_ahead = 30
    behind = tables_of()["clock"]
    assert (behind.outcome, "behind" in behind.found) == ("warning", True)
    assert int(behind.found.split()[0]) == pytest.approx(30, abs=2)
    bigquery.clock_ahead = -3600
    ahead = tables_of()["clock"]
    assert (ahead.outcome, "ahead of" in ahead.found) == ("failed", True)


# AWS


@pytest.mark.job
def test_aws_that_has_what_the_run_needs_is_well_and_untouched(aws, bucket):
    aws("kinesis").create_stream(StreamName="readings", ShardCount=1)
    topic = aws("sns").create_topic(Name="incidents")["TopicArn"]
    checks = found(
        Settings(
            source="kinesis:readings",
            lake=f"s3://{bucket}/deep/down",
            results={"anomalies": "kinesis:readings", "incidents": f"sns:{topic}"},
        )
    )
    assert {name: check.outcome for name, check in checks.items()} == {
        "schema": "ok",
        "source": "ok",
        "lake": "ok",
        "results": "ok",
        "clock": "ok",
    }
    assert aws("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.job
def test_aws_that_lacks_it_is_told(aws):
    arn = "arn:aws:sns:eu-central-1:123456789012:none"
    plan = Settings(
        source="sqs:none",
        lake="s3://nowhere/lake",
        results={"anomalies": "kinesis:none", "incidents": f"sns:{arn}"},
    )
    checks = {check.name: check for check in doctor(plan)}
    failed = [name for name, check in checks.items() if check.outcome == "failed"]
    assert failed == [
        "source sqs:none",
        "lake s3://nowhere/lake",
        "results anomalies to kinesis:none",
        f"results incidents to sns:{arn}",
    ]
    assert "s3:PutObject" in checks["lake s3://nowhere/lake"].remedy


@pytest.mark.job
def test_a_permission_that_is_missing_on_aws_is_told_by_its_name(aws, monkeypatch):
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    def deny(self, operation_name, arguments):
        error = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
        raise ClientError(error, operation_name)

    monkeypatch.setattr(BaseClient, "_make_api_call", deny)
    check = found(Settings(results={"incidents": "kinesis:s"}))["results"]
    assert check.outcome == "failed"
    assert "kinesis:DescribeStreamSummary" in check.found


# Google Cloud


def test_permissions_are_asked_for_by_name():
    wanted = ("pubsub.subscriptions.consume", "pubsub.subscriptions.get")
    assert granted(lambda: wanted, lambda: None, wanted, "s") == ", and we may use it"
    with pytest.raises(Ill, match=r"missing: pubsub\.subscriptions\.consume$"):
        granted(lambda: wanted[1:], lambda: None, wanted, "s")

    def raise_(error):
        raise error

    with pytest.raises(Ill, match="s is not there"):
        granted(lambda: raise_(NotFound("no")), lambda: None, wanted, "s")
    with pytest.raises(Ill, match=r"missing: pubsub\.subscriptions\.get"):
        granted(
            lambda: raise_(MethodNotImplemented("emulator")),
            lambda: raise_(Forbidden("no")),
            wanted,
            "s",
        )
    no_permissions = granted(
        lambda: raise_(MethodNotImplemented("emulator")), lambda: None, wanted, "s"
    )
    assert "no permissions" in no_permissions


@pytest.fixture
def pubsub(pubsub_emulator, monkeypatch):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator)


@pytest.mark.job
def test_pubsub_is_looked_at(pubsub):
    topic, subscription = "projects/p/topics/results", "projects/p/subscriptions/readings"
    with SubscriberClient() as subscriber:
        PublisherClient().create_topic(name=topic)
        subscriber.create_subscription(name=subscription, topic=topic)
    plan = Settings(source=f"pubsub:{subscription}", results={"incidents": f"pubsub:{topic}"})
    assert worst(doctor(plan)) == "ok"
    none = Settings(
        source="pubsub:projects/p/subscriptions/none",
        lake="",
        results={"incidents": "pubsub:projects/p/topics/none"},
    )
    assert [check.outcome for check in doctor(none)] == ["ok", "failed", "failed"]


# The engine


def engine(*flags):
    return found(Settings(), options=beam_options(list(flags)))["engine"]


def test_the_prism_that_is_named_must_be_a_program(tmp_path):
    program = tmp_path / "prism"
    flags = ("--runner=PrismRunner", f"--prism_location={program}")
    assert engine(*flags).outcome == "failed"
    program.touch(0o755)
    assert engine(*flags) == Check("engine", "ok", f"Prism is {program}")


def test_a_flink_that_does_not_answer_is_told():
    check = engine("--runner=FlinkRunner", "--flink_master=127.0.0.1:9")
    assert (check.outcome, "no Flink at 127.0.0.1:9" in check.found) == ("failed", True)


def test_dataflow_lacks_its_options_by_name():
    check = engine("--runner=DataflowRunner", "--project=p")
    assert check.found == "Dataflow needs --region, --temp_location"


# The command


@pytest.fixture
def run():
    app = typer.Typer()
    app.command("doctor", context_settings=PASS_ON)(doctor_command)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_exit_code_is_the_outcome(run, tmp_path):
    lake = f"--lake={tmp_path / 'lake'}"
    (tmp_path / "in.jsonl").touch()
    well = run(lake, "--source", str(tmp_path / "in.jsonl"))
    assert (well.exit_code, "writable" in well.output) == (0, True)
    ill = run(lake, "--source", str(tmp_path / "none.jsonl"))
    assert ill.exit_code == 1
    assert "failed" in ill.output
    assert run(lake, "--shards=0").exit_code == 2
    assert run(lake, "--no-such-option").exit_code == 2


def test_json_is_one_object_with_the_worst_outcome(run, tmp_path):
    result = run(f"--lake={tmp_path}", "--source=none.jsonl", "--json")
    told = json.loads(result.output)
    assert told["outcome"] == "failed"
    assert [check["outcome"] for check in told["checks"]] == ["ok", "ok", "failed", "ok"]
    warned = json.loads(as_json_text([Check("a", "warning", "b", "c")]))
    assert warned["outcome"] == "warning"
    assert warned["checks"] == [{"name": "a", "outcome": "warning", "found": "b", "remedy": "c"}]


def test_the_clock_is_handed_in(bigquery):
    plan = Settings(warehouse="p.t", warehouse_tables=TABLES)
    words = found(plan, now=lambda: time.time() - 7200)["clock"].found
    assert int(words.split()[0]) == pytest.approx(7200, abs=2)
