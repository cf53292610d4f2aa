"""The views of docs/warehouse.md give each row once, whatever was written how often."""

import re
from pathlib import Path

import duckdb
import pytest

from eddyline.io.rows.table import row_table
from eddyline.schemas.record import load_contract

PAGE = Path(__file__).parents[3] / "docs" / "warehouse.md"


@pytest.fixture
def views():
    """DuckDB with the page's views over empty tables."""
    connection = duckdb.connect()
    connection.execute("create schema telemetry")
    for name in ("minutes", "incidents", "anomalies"):
        columns = row_table(load_contract("room"), name).schema.empty_table()
        connection.register("columns", columns)
        connection.execute(f"create table telemetry.{name} as from columns")
    for view in re.findall(r"CREATE OR REPLACE VIEW .*?;", PAGE.read_text(), re.DOTALL):
        connection.execute(view.replace("`", ""))
    return connection


def test_the_last_of_a_minutes_rows_counts_also_where_a_replay_numbered_them_otherwise(views):
    # an abandoned attempt wrote revisions 0 and 1; the one that counts had the late reading at once
    for revision, readings in ((0, 60), (1, 61), (0, 62), (0, 62)):
        views.execute(
            "insert into telemetry.minutes by name "
            f"select 'a' device_id, timestamptz '2026-01-02 00:00Z' minute_start, "
            f"{revision} revision, {readings} readings"
        )
    assert views.sql("select readings from telemetry.minutes_now").fetchall() == [(62,)]


def test_an_incident_stands_as_its_newest_revision_says(views):
    for revision, transition in ((0, "opened"), (2, "resolved"), (1, "updated"), (2, "resolved")):
        views.execute(
            "insert into telemetry.incidents by name "
            f"select 'i' incident_id, {revision} revision, '{transition}' transition"
        )
    found = views.sql("select transition from telemetry.incidents_now").fetchall()
    assert found == [("resolved",)]


def test_an_anomaly_is_told_once(views):
    for reading in (1, 1, 2):
        views.execute(f"insert into telemetry.anomalies by name select {reading} reading_id")
    assert views.sql("select count(*) from telemetry.anomalies_once").fetchall() == [(2,)]
