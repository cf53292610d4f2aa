"""A run that is cut in two, its device states carried over: together what one whole run gives."""

import os
import re

import pytest
from typer.testing import CliRunner

from eddyline.io.simulate import Simulation, write
from eddyline.pipeline.cli import app
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import prepare
from eddyline.pipeline.settings import settings_of

pytestmark = pytest.mark.job
# Nothing comes late over the cut, and each minute is told by one of the two runs.
SIMULATION = Simulation(
    devices=12, sites=3, hours=2.5, faulty=0.6, seed=5, late=0.0, gathered=0.0, malformed=0.0
)
TABLES = ("readings", "minutes", "anomalies", "incidents")
WHERE = ("source", "position", "event_date")  # of a file, which is another one
MTIME = 1_767_700_000


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """The messages, whole and as two files, each in the order of arrival."""
    folder = tmp_path_factory.mktemp("fleet")
    written = write(SIMULATION, folder)
    told = re.compile('"timestamp":"([^"]+)"')  # one device tells its time as a number
    lines = written.messages.read_text().splitlines(keepends=True)
    lines = [line for line in lines if told.search(line)]
    times = [told.search(line)[1] for line in lines]
    # A minute at whose end readings overtake each other.
    cuts = (f"2026-01-05T07:{minute}" for minute in range(30, 60))
    cut = next(c for c in cuts if (first := sum(t < c for t in times)) and max(times[:first]) > c)
    early = [time < cut for time in times]
    halves = {
        "whole": lines,
        "first": [line for line, is_early in zip(lines, early, strict=True) if is_early],
        "second": [line for line, is_early in zip(lines, early, strict=True) if not is_early],
    }
    for name, part in halves.items():
        (folder / f"{name}.jsonl").write_text("".join(part))
        os.utime(folder / f"{name}.jsonl", (MTIME, MTIME))  # the time of arrival
    return folder


@pytest.fixture(scope="module")
def run(fleet, tmp_path_factory):
    """Run the job on one of the files; gives its lake."""

    def through(name, *flags, **given):
        lake = tmp_path_factory.mktemp(name) / "lake"
        settings = settings_of(
            {
                "source": str(fleet / f"{name}.jsonl"),
                "devices": str(fleet / "devices.csv"),
                "lake": str(lake),
                "raw": False,
                "batch": 100_000,
                **given,
            }
        )
        options = beam_options(list(flags), runner="FnApiRunner")
        assert prepare(settings, options).run().succeeded
        return lake

    return through


@pytest.fixture(scope="module")
def whole(run):
    return run("whole")


def exported(lake):
    file = lake.parent / "states.parquet"
    result = CliRunner().invoke(app, ["state", "export", "--lake", str(lake), "--out", str(file)])
    assert result.exit_code == 0, result.output
    assert "11 devices in" in result.output
    return str(file)


def told(rows_of, *lakes):
    """Every row of every table; of a minute the last revision."""
    return {
        table: sorted(
            repr({k: v for k, v in row.items() if k not in WHERE})
            for lake in lakes
            for row in rows_of(lake, table).to_pylist()
        )
        for table in TABLES
    }


def test_a_run_cut_in_two_and_over_other_shards_gives_what_one_run_gives(run, whole, rows_of):
    first = run("first", export_state=True)
    second = run("second", state=exported(first), shards=64)
    expected = told(rows_of, whole)
    # The cut leaves work for both: models that are ready, incidents that are open.
    opened = {row["incident_id"] for row in rows_of(first, "incidents").to_pylist()}
    later = {row["incident_id"] for row in rows_of(second, "incidents").to_pylist()}
    assert opened & later
    verdicts = rows_of(second, "readings").column("verdict").to_pylist()
    assert "WARM_UP" not in verdicts
    assert "ANOMALY" in verdicts
    for table, rows in told(rows_of, first, second).items():
        assert rows == expected[table], table


def test_what_waits_at_the_end_is_handed_over_and_told_once(run, whole, rows_of):
    first = run("first", export_state=True)
    waiting = sum(rows_of(first, "device_states").column("waiting").to_pylist())
    assert waiting > 0
    told_by_first = rows_of(first, "readings").num_rows
    first_minutes = rows_of(first, "minutes").column("readings").to_pylist()
    assert told_by_first + waiting == sum(first_minutes)


def test_without_the_states_the_second_half_learns_anew(run, rows_of):
    verdicts = rows_of(run("second"), "readings").column("verdict").to_pylist()
    assert "WARM_UP" in verdicts


@pytest.mark.timeout(180)
def test_devices_go_on_in_another_engine(prism, run, whole, rows_of):
    """A streaming job on Prism, drained; then a bounded one in this process, in other shards."""
    flags = ["--runner=PrismRunner", f"--prism_location={prism}", "--streaming"]
    first = run("first", *flags, export_state=True, flush_seconds=1.0)
    second = run("second", state=exported(first), shards=5)
    expected = told(rows_of, whole)
    for table, rows in told(rows_of, first, second).items():
        assert rows == expected[table], table


def test_a_lake_without_states_and_a_wrong_file_are_told_in_a_line(whole, fleet, tmp_path):
    runner = CliRunner()
    result = runner.invoke(app, ["state", "export", "--lake", str(whole)])
    assert result.exit_code == 2
    assert "no device states; run with --export-state" in " ".join(result.output.split())
    source = str(fleet / "second.jsonl")
    given = ["run", "--source", source, "--lake", str(tmp_path / "lake"), "--state", source]
    result = runner.invoke(app, given)
    assert result.exit_code == 2
    assert "no Parquet file of device states" in " ".join(result.output.split())
    assert not (tmp_path / "lake").exists()
