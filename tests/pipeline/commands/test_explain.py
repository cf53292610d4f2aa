"""The picture of one device: its data, its files, and the command."""

import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Density
from eddyline.detectors.moving_average import MovingAverage
from eddyline.io.lake.read import open_table
from eddyline.io.simulate import Simulation, write
from eddyline.pipeline.commands.explain import course_of, explain_command, incidents_of
from eddyline.pipeline.explain.course import Trouble, run_again
from eddyline.pipeline.explain.picture import FEW, WIDTH, _band, _line, draw, picture_of
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import prepare
from eddyline.pipeline.settings import settings_of

CELSIUS = Channel("temperature", -40.0, 85.0, unit="°C")
PERCENT = Channel("humidity", 0.0, 100.0, unit="%")
T0 = 1_767_312_000_000_000
SECOND = 1_000_000


def signals(number, spike=None):
    noise = np.random.default_rng(1).normal(size=(number, 2))
    values = np.round([20.0, 50.0] + noise * [0.1, 1.0], 2)
    if spike is not None:
        values[spike, 0] = 5.0
    return T0 + 10 * SECOND * np.arange(number), values


@pytest.fixture(scope="module")
def course():
    time, values = signals(1000, spike=800)
    return run_again("freezer-7", MovingAverage((CELSIUS, PERCENT)), time, values)


def test_every_judged_reading_has_its_band_and_the_spike_is_outside_of_it(course):
    for band in course.bands:
        assert np.isnan(band.low[:60]).all()
        assert (band.low[60:] < band.expected[60:]).all()
        assert (band.expected[60:] < band.high[60:]).all()
    assert course.values[800, 0] < course.bands[0].low[800]
    assert (course.anomaly[800], course.named[800]) == (True, 0)


@pytest.mark.parametrize("detector", [MovingAverage, Density])
def test_what_the_job_scored_is_what_is_drawn(detector):
    model = detector((CELSIUS, PERCENT))
    time, values = signals(600, spike=500)
    scores = model.observe(model.new(1), np.zeros(600, np.int32), time, values)
    course = run_again("a", model, time, values)
    np.testing.assert_array_equal(course.anomaly, scores.alarms != 0)
    assert list(course.scores) == (["event", "condition"] if detector is Density else ["score"])
    assert tuple(course.thresholds.values()) == model.thresholds
    judged = ~np.isnan(scores.score)
    for name, score in course.scores.items():
        whole = scores.extras.get(name, scores.score)
        np.testing.assert_array_equal(score[judged], whole[judged])
        assert np.isnan(score[~judged]).all()


def test_a_part_is_told_as_it_is_in_the_whole(course):
    part = run_again("freezer-7", MovingAverage((CELSIUS, PERCENT)), *signals(1000, 800), first=700)
    assert len(part.time) == 300
    for ours, whole in zip(part.bands, course.bands, strict=True):
        for one, other in zip(ours, whole, strict=True):
            np.testing.assert_array_equal(one, other[700:])
    np.testing.assert_array_equal(part.scores["score"], course.scores["score"][700:])


def test_of_many_readings_each_pixel_keeps_its_least_and_its_most():
    time, values = signals(50_000, spike=31_234)
    rows = _line(time, values[:, 0])
    assert len(rows) <= 2 * (WIDTH + 1)
    assert min(row["value"] for row in rows) == 5.0
    assert max(row["value"] for row in rows) == values[:, 0].max()
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_of_few_readings_all_are_drawn_and_a_line_breaks_where_nothing_came():
    time, values = signals(100)
    time[50:] += 3600 * SECOND
    rows = _line(time, values[:, 0])
    assert len(rows) == 101
    assert [row["value"] for row in rows][50] is None
    band = _band(time, values[:, 0], values[:, 0] + 1)
    assert [row["low"] is None for row in band] == [False] * 50 + [True] + [False] * 50


def test_what_never_was_is_not_drawn():
    time, values = signals(10)
    values[:, 0] = np.nan
    assert _line(time, values[:, 0]) == []
    assert _band(time, values[:, 0], values[:, 0]) == []


def test_a_picture_of_50_000_readings_stays_small():
    time, values = signals(50_000, spike=31_234)
    spec = picture_of(run_again("a", MovingAverage((CELSIUS, PERCENT)), time, values))
    assert sum(map(len, spec["datasets"].values())) < 8 * FEW


def test_a_picture_has_a_panel_a_channel_one_of_scores_and_one_of_incidents(course):
    troubles = (
        Trouble("silent", "error", T0 - 60 * SECOND, T0 + 60 * SECOND, "no reading for 2 min"),
        Trouble("event", "strange", T0 + 8000 * SECOND, None, "temperature 5 °C"),
    )
    spec = picture_of(replace(course, troubles=troubles, notes=("9 late readings are left out",)))
    assert len(spec["vconcat"]) == 4
    assert "9 late readings are left out" in spec["title"]["subtitle"]
    bars = next(rows for rows in spec["datasets"].values() if rows and "lasted" in rows[0])
    assert [(bar["kind"], bar["lasted"]) for bar in bars] == [
        ("silent", "2.0 min"),
        ("event", "still open"),
    ]
    end = course.time[-1] / 1000
    assert (bars[0]["time"], bars[1]["end"]) == (T0 / 1000, end)
    assert all(bar["time"] < bar["end"] for bar in bars)


def test_the_files_need_nothing_else(course, tmp_path):
    for ending in ("svg", "html", "png"):
        draw(course, tmp_path / f"a.{ending}")
    svg = (tmp_path / "a.svg").read_text()
    for words in ("freezer-7", "temperature (°C)", "humidity (%)", "score alarms from 4"):
        assert words in svg
    page = (tmp_path / "a.html").read_text()
    assert "<script src=" not in page
    assert "temperature (°C)" in page
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_without_the_extra_it_says_what_to_install(course, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ValueError, match=r"pip install 'eddyline\[report\]'"):
        draw(course, tmp_path / "a.svg")


def test_another_ending_and_nothing_to_draw_are_refused(course, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.html, \.svg, \.png, not 'a\.pdf'"):
        draw(course, tmp_path / "a.pdf")
    with pytest.raises(ValueError, match="'freezer-7' has no readings there"):
        draw(replace(course, time=course.time[:0]), tmp_path / "a.svg")


def test_a_single_reading_is_a_picture_too(tmp_path):
    time, values = signals(1)
    draw(run_again("a", MovingAverage((CELSIUS, PERCENT)), time, values), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").exists()


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake that the job wrote of a small simulated fleet."""
    folder = tmp_path_factory.mktemp("explain")
    simulation = Simulation(devices=3, sites=1, hours=2.0, faulty=1.0, warm_up=1.2)
    written = write(simulation, folder)
    settings = settings_of(
        {
            "source": str(written.messages),
            "devices": str(written.devices),
            "lake": str(folder / "lake"),
            "detector": "moving_average",
        }
    )
    ended = prepare(settings, beam_options([], runner="FnApiRunner")).run()
    assert ended.succeeded
    return str(folder / "lake")


ROOM = (
    Channel("temperature", -40.0, 85.0, "double", "°C"),
    Channel("humidity", 0.0, 100.0, "double", "%"),
    Channel("pressure", 300.0, 1100.0, "double", "hPa"),
)


@pytest.mark.job
def test_running_again_judges_every_reading_as_the_job_did(lake):
    rows = open_table(lake, "readings").to_pyarrow_table().to_pylist()
    for device in sorted({row["device_id"] for row in rows}):
        course = course_of(lake, device, MovingAverage(ROOM))
        of_device = [row for row in rows if row["device_id"] == device]
        verdicts = Counter(row["verdict"] for row in of_device)
        assert len(course.time) == len(of_device) - verdicts["LATE"]
        assert course.anomaly.sum() == verdicts["ANOMALY"]
        assert not any("otherwise than the job" in note for note in course.notes)
        in_order = sorted(
            (row for row in of_device if row["verdict"] != "LATE"),
            key=lambda row: (row["event_time"], row["reading_id"]),
        )
        scores = np.array([row["score"] for row in in_order], np.float64)
        np.testing.assert_array_equal(course.scores["score"], scores)


@pytest.mark.job
def test_a_detector_of_other_settings_is_said_to_judge_otherwise(lake):
    device = open_table(lake, "anomalies").to_pyarrow_table().column("device_id")[0].as_py()
    course = course_of(lake, device, MovingAverage(ROOM, threshold=1000.0))
    assert any("otherwise than the job" in note for note in course.notes)


@pytest.mark.job
def test_a_part_of_the_time_is_drawn_alone(lake):
    device = open_table(lake, "readings").to_pyarrow_table().column("device_id")[0].as_py()
    start = datetime(2026, 1, 5, 7, tzinfo=UTC)
    end = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
    course = course_of(lake, device, MovingAverage(ROOM), start, end)
    assert start.timestamp() * 1e6 <= course.time[0] < course.time[-1] < end.timestamp() * 1e6
    with pytest.raises(ValueError, match="in that time"):
        course_of(lake, device, MovingAverage(ROOM), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.job
def test_an_unknown_device_and_other_channels_are_refused(lake):
    with pytest.raises(ValueError, match="no readings of 'nobody'"):
        course_of(lake, "nobody", MovingAverage(ROOM))
    with pytest.raises(ValueError, match="--schema: the lake has no channel salt"):
        course_of(lake, "nobody", MovingAverage((Channel("salt", 0.0, 1.0),)))


@pytest.mark.job
def test_incidents_stand_as_their_last_row_says(lake):
    rows = open_table(lake, "incidents").to_pyarrow_table().sort_by("revision").to_pylist()
    device = next(row["device_id"] for row in rows if row["device_id"])
    last = {row["incident_id"]: row for row in rows if row["device_id"] == device}
    troubles, heard = incidents_of(lake, device, 0, 2**62)
    assert Counter((t.kind, t.severity, t.start) for t in troubles) == Counter(
        (r["kind"], r["severity"], round(r["opened_at"].timestamp() * 1e6)) for r in last.values()
    )
    assert heard == max(round(r["event_time"].timestamp() * 1e6) for r in last.values())
    assert incidents_of(lake, device, 2**61, 2**62)[0] == [t for t in troubles if t.end is None]


@pytest.mark.job
def test_a_lake_without_incidents_has_none(tmp_path):
    assert incidents_of(str(tmp_path), "a", 0, 2**62) == ([], 0)


@pytest.mark.job
def test_the_command_writes_the_picture_and_refuses_in_one_line(lake, tmp_path):
    app = typer.Typer()
    app.command()(explain_command)
    device = open_table(lake, "readings").to_pyarrow_table().column("device_id")[0].as_py()
    to = tmp_path / "picture.svg"
    common = ["--lake", lake, "--detector", "moving_average", "--out", str(to)]
    told = CliRunner().invoke(app, ["--device", device, *common])
    assert told.exit_code == 0, told.output
    assert device in to.read_text()
    assert "under alarm" in told.output
    refused = CliRunner().invoke(app, ["--device", "nobody", *common])
    assert refused.exit_code == 2
    missing = CliRunner().invoke(app, ["--device", "a", "--lake", str(tmp_path / "none")])
    assert missing.exit_code == 2
