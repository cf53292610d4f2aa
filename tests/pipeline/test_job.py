"""The whole job, bounded, on simulated and on real messages: nothing lost, doubled or invented."""

import json
from collections import Counter

import pyarrow as pa
import pytest

from eddyline.io.simulate import Simulation, write
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.replay import replay_of
from eddyline.pipeline.run import prepare
from eddyline.pipeline.settings import settings_of
from eddyline.pipeline.summary import balance_of
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.channel import channel_file_text
from eddyline.schemas.record import load_contract

pytestmark = pytest.mark.job
SIMULATION = Simulation(devices=12, sites=2, hours=2.5, faulty=0.25, outages=1, seed=3)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return write(SIMULATION, tmp_path_factory.mktemp("fleet"))


def by_id(table: pa.Table, *drop: str) -> list[dict]:
    """Rows in an order that does not depend on how they were written."""
    rows = [{k: v for k, v in row.items() if k not in drop} for row in table.to_pylist()]
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


@pytest.fixture(scope="module")
def first(fleet, tmp_path_factory):
    """The simulated fleet's lake and how the run ended."""
    lake = tmp_path_factory.mktemp("first") / "lake"
    settings = settings_of(
        {"source": str(fleet.messages), "devices": str(fleet.devices), "lake": str(lake)}
    )
    return lake, prepare(settings, beam_options([], runner="FnApiRunner")).run()


def test_every_item_of_a_hostile_stream_is_a_reading_a_duplicate_or_a_dead_letter(
    fleet, first, rows_of
):
    lake, ended = first
    truth = fleet.truth
    readings, letters = rows_of(lake, "readings"), rows_of(lake, "dead_letters")
    assert ended.succeeded
    assert readings.num_rows == truth.readings
    assert letters.num_rows == sum(truth.malformed.values())
    assert readings.num_rows + truth.duplicates + letters.num_rows == truth.items
    # The counters tell what the lake holds.
    balance = balance_of(ended)
    assert balance.holds
    assert balance.messages == truth.messages
    assert balance.readings == readings.num_rows
    assert balance.duplicates == truth.duplicates
    assert balance.dead_letters == Counter(letters.column("reason").to_pylist())
    assert balance.late == Counter(readings.column("verdict").to_pylist())["LATE"] > 0


def test_no_reading_is_twice_in_the_lake(first, rows_of):
    lake, _ = first
    ids = rows_of(lake, "readings").column("reading_id").to_pylist()
    assert len(set(ids)) == len(ids)


def test_minutes_hold_every_reading_once(fleet, first, rows_of):
    lake, _ = first
    minutes = rows_of(lake, "minutes")
    assert minutes.num_rows == fleet.truth.minutes
    assert sum(minutes.column("readings").to_pylist()) == fleet.truth.readings
    assert set(minutes.column("revision").to_pylist()) == {0}


def test_minutes_agree_with_the_readings_they_sum_up(first, rows_of):
    lake, _ = first
    frame = rows_of(lake, "readings").to_pandas()
    frame["minute_start"] = frame["event_time"].dt.floor("min")
    expected = frame.groupby(["device_id", "minute_start"])["temperature"].agg(
        ["count", "mean", "min", "max"]
    )
    minutes = rows_of(lake, "minutes").to_pandas().set_index(["device_id", "minute_start"])
    told = minutes[[f"temperature_{name}" for name in expected.columns]].sort_index()
    told.columns = expected.columns
    difference = (told - expected.sort_index()).abs().fillna(0)
    assert difference.max().max() < 1e-9


def test_every_table_has_the_columns_of_its_record(first, rows_of):
    lake, _ = first
    contract = load_contract("room")
    records = {
        "readings": "reading",
        "minutes": "minute",
        "anomalies": "anomaly",
        "incidents": "incident",
        "deliveries": "delivery",
        "dead_letters": "dead_letter",
    }
    for table, record in records.items():
        columns = [name for name in rows_of(lake, table).column_names if name != "event_date"]
        assert columns == arrow_schema(contract.record(record)).names


def test_an_outage_is_one_storm_and_its_members_have_no_alert_of_their_own(fleet, first, rows_of):
    lake, ended = first
    (outage,) = fleet.truth.outages
    rows = rows_of(lake, "incidents").to_pylist()
    (storm,) = [row for row in rows if (row["kind"], row["transition"]) == ("storm", "opened")]
    assert storm["site"] == outage.site
    members = {row["device_id"] for row in rows if row["storm_id"] == storm["incident_id"]}
    assert len(members) == storm["count"] == outage.devices
    assert [row["transition"] for row in rows if row["kind"] == "storm"][-1] == "resolved"
    openings = [row for row in rows if row["transition"] == "opened"]
    assert ended.counts["incidents_opened"] == len(openings) - 1
    assert balance_of(ended).storms == (1, len(members))


def test_an_incident_opens_once_and_its_revisions_have_no_gap(first, rows_of):
    lake, _ = first
    rows = rows_of(lake, "incidents").sort_by(
        [("incident_id", "ascending"), ("revision", "ascending")]
    )
    revisions: dict[str, list] = {}
    for row in rows.to_pylist():
        revisions.setdefault(row["incident_id"], []).append((row["revision"], row["transition"]))
    assert len(revisions) > 6
    for told in revisions.values():
        assert [revision for revision, _ in told] == list(range(len(told)))
        assert [transition == "opened" for _, transition in told] == [True] + [False] * (
            len(told) - 1
        )


def test_alerts_go_where_the_policy_says_each_once(fleet, first, rows_of, run_job, tmp_path):
    lake, _ = first
    policy, told = tmp_path / "policy.yaml", tmp_path / "alerts.jsonl"
    policy.write_text(
        f"channels: {{log: {{kind: file, path: {told}}}}}\n"
        "routes: [{channels: [log]}]\n"
        "mute: [{name: always, match: {kind: storm}, "
        "start: 2020-01-01T00:00Z, end: 2030-01-01T00:00Z}]\n"
    )
    other = tmp_path / "lake"
    ended = run_job(
        source=str(fleet.messages), devices=str(fleet.devices), lake=str(other), policy=str(policy)
    )
    assert by_id(rows_of(other, "incidents")) == by_id(rows_of(lake, "incidents"))
    rows = [row for row in rows_of(lake, "incidents").to_pylist() if row["storm_id"] is None]
    keys = [json.loads(line)["key"] for line in told.read_text().splitlines()]
    muted = [row for row in rows if row["kind"] == "storm"]
    assert len(keys) == len(set(keys)) == len(rows) - len(muted)
    outcomes = Counter(rows_of(other, "deliveries").column("outcome").to_pylist())
    assert outcomes == {"delivered": len(keys), "muted": len(muted)}
    assert balance_of(ended).alerts == outcomes


def test_replay_of_the_raw_zone_equals_the_first_run_row_for_row(
    fleet, first, rows_of, run_job, tmp_path
):
    lake, _ = first
    again = tmp_path / "again"
    run_job(read=replay_of(str(lake)), devices=str(fleet.devices), lake=str(again))
    for table in ("readings", "minutes", "anomalies", "incidents", "dead_letters"):
        before, after = rows_of(lake, table), rows_of(again, table)
        assert before.num_rows == after.num_rows
        assert by_id(before) == by_id(after), table


@pytest.mark.parametrize(("batch", "shards"), [(37, 1), (5000, 5)])
def test_neither_batches_nor_shards_show_in_the_result(
    fleet, first, rows_of, run_job, tmp_path, batch, shards
):
    lake, _ = first
    other = tmp_path / "other"
    run_job(
        source=str(fleet.messages),
        devices=str(fleet.devices),
        lake=str(other),
        batch=batch,
        shards=shards,
    )
    for table in ("readings", "minutes", "anomalies", "incidents"):
        assert by_id(rows_of(lake, table)) == by_id(rows_of(other, table)), table


def test_dead_letters_are_replayed_once_the_schema_lets_them_in(run_job, rows_of, tmp_path):
    source, lake = tmp_path / "in.jsonl", tmp_path / "lake"
    source.write_text(
        '{"device_id": "a", "timestamp": "2026-01-05T06:00:00Z", "temperature": 90}\n'
        '{"device_id": "a", "timestamp": "2026-01-05T06:00:10Z", "temperature": 20}\n'
        "not json\n"
    )
    run_job(source=str(source), lake=str(lake))
    assert rows_of(lake, "readings").num_rows == 1
    wide = tmp_path / "wide.avsc"
    room = channel_file_text("room")
    wide.write_text(room.replace('"maximum": 85', '"maximum": 99'))
    ended = run_job(
        read=replay_of(str(lake), dead_letters=True),
        lake=str(tmp_path / "repaired"),
        schema=str(wide),
        raw=False,
    )
    assert balance_of(ended).dead_letters == {"malformed": 1}
    repaired = rows_of(tmp_path / "repaired", "readings").to_pylist()
    assert [(row["temperature"], row["position"]) for row in repaired] == [(90.0, "000000000001")]


def test_drop_rules_count_what_they_drop(run_job, rows_of, tmp_path):
    source, lake = tmp_path / "in.jsonl", tmp_path / "lake"
    source.write_text(
        '{"device_id": "test-1", "timestamp": "2026-01-05T06:00:00Z", "temperature": 20}\n'
        '{"device_id": "a", "timestamp": "2026-01-05T06:00:00Z", "temperature": 20}\n'
        '{"device_id": "a", "type": "heartbeat"}\n'
    )
    ended = run_job(
        source=str(source),
        lake=str(lake),
        drop=[{"rule": "tests", "device": "test-*"}, {"rule": "beats", "type": "heartbeat"}],
    )
    assert rows_of(lake, "readings").num_rows == 1
    assert rows_of(lake, "dead_letters").num_rows == 0
    assert (ended.counts["filtered_tests"], ended.counts["filtered_beats"]) == (1, 1)
    assert balance_of(ended).holds


def test_a_day_of_real_rooms_is_accounted_for(shared_data, run_job, rows_of, tmp_path):
    lake = tmp_path / "lake"
    ended = run_job(
        source=str(shared_data / "env_telemetry" / "telemetry.jsonl.gz"),
        schema="env_telemetry",
        lake=str(lake),
        detector_options={"n_trees": 2},
    )
    readings = rows_of(lake, "readings")
    balance = balance_of(ended)
    assert balance.messages == 50_270
    assert readings.num_rows + balance.duplicates + rows_of(lake, "dead_letters").num_rows == 50_270
    assert set(readings.column("light").unique().to_pylist()) == {True, False}
    assert len(readings.column("device_id").unique()) == 3
