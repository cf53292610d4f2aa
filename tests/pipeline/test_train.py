"""Train on a small lake, and the detector that comes of it."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
import typer
from deltalake import write_deltalake
from deltalake.exceptions import TableNotFoundError
from typer.testing import CliRunner

from eddyline.detectors.channel import Channel
from eddyline.detectors.protocol import Verdict
from eddyline.detectors.registry import make_detector
from eddyline.pipeline.commands.train import store, train_command
from eddyline.pipeline.train import Drawn, Training, train
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract

pytestmark = pytest.mark.job
T0 = datetime(2026, 1, 2, tzinfo=UTC)
SECOND = 1_000_000
ROOM = (
    Channel("temperature", -40, 85, unit="°C"),
    Channel("humidity", 0, 100, unit="%"),
    Channel("pressure", 300, 1100, unit="hPa"),
)
QUICK = {"trees": 10, "window": 60, "warm_up": 20, "alarm_rate": 0.01}


def values_of(device, rows, seed=0):
    rng = np.random.default_rng([device, seed])
    at = np.arange(rows)
    return np.stack(
        [
            16 + device + 2 * np.sin(at / 60) + rng.normal(0, 0.2, rows).round(1),
            50 + 5 * np.sin(at / 90 + device) + rng.normal(0, 1, rows).round(0),
            960 + rng.normal(0, 0.5, rows).round(1),
        ],
        axis=1,
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Readings of six devices, one a minute, in another order than that of their times."""
    schema = arrow_schema(load_contract("room").record("reading"))
    parts = []
    for device in range(6):
        values = values_of(device, 1500)
        values[np.random.default_rng(device).random(values.shape) < 0.05] = np.nan
        micros = int(T0.timestamp()) * SECOND + np.arange(1500) * 60 * SECOND
        columns = {
            "device_id": [f"room-{device}"] * 1500,
            "event_time": micros,
            "reading_id": np.arange(1500) + 10_000 * device,
            "arrival_time": micros,
            "source": ["s"] * 1500,
            "position": ["0"] * 1500,
            "known": [False] * 1500,
            "verdict": ["LATE" if row % 300 == 299 else "NORMAL" for row in range(1500)],
        }
        for channel, column in zip(ROOM, values.T, strict=True):
            columns[channel.name] = pa.array(column, from_pandas=True)
        arrays = [
            pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(1500, f.type)
            for f in schema
        ]
        parts.append(pa.Table.from_arrays(arrays, schema=schema))
    table = pa.concat_tables(parts)
    order = np.random.default_rng(0).permutation(len(table))
    folder = tmp_path_factory.mktemp("train")
    write_deltalake(str(folder / "readings"), table.take(pa.array(order)))
    return str(folder)


@pytest.fixture(scope="module")
def trained(lake):
    return train(Training(lake=lake, **QUICK))


@pytest.fixture
def model(trained, tmp_path):
    store(trained.content, str(tmp_path / "model.onnx"))
    return str(tmp_path / "model.onnx")


def observe(detector, values):
    rows = len(values)
    state = detector.new(1)
    return detector.observe(state, np.zeros(rows, np.int32), np.arange(rows) * SECOND, values)


def test_it_says_what_it_was_trained_on(trained):
    about = trained.about
    assert (about.devices, trained.readings) == (6, 6 * 1495)
    assert [c.name for c in about.channels] == ["temperature", "humidity", "pressure"]
    assert (about.start, about.end) == ("2026-01-02T00:00:00Z", "2026-01-03T00:58:00Z")
    # The first fifth of nothing, the last fifth held out, and the warm-up of each channel.
    assert about.held_out == pytest.approx(6 * 300, rel=0.02)
    assert about.rows == pytest.approx(6 * (1200 - 20), rel=0.02)
    assert set(about.versions) == {"eddyline", "sklearn", "onnx"}


def test_the_threshold_tells_at_most_the_share_that_was_asked_for(trained):
    assert 0.002 < trained.alarms <= 0.01
    assert trained.alarms_a_day == pytest.approx(trained.alarms * 1440, rel=0.05)


def test_the_same_lake_and_seed_give_the_same_file(lake, trained):
    assert train(Training(lake=lake, **QUICK)).content == trained.content
    assert train(Training(lake=lake, **QUICK, seed=1)).content != trained.content


def test_how_the_readings_are_cut_into_batches_changes_nothing(lake, trained, monkeypatch):
    monkeypatch.setattr("eddyline.pipeline.train.BATCH", 2048)
    assert train(Training(lake=lake, **QUICK)).content == trained.content


def test_faults_of_a_device_that_was_not_trained_on_are_found_and_named(model):
    detector = make_detector("pretrained", ROOM, model=model, warm_up=20)
    values = values_of(9, 900, seed=5)
    quiet = observe(detector, values)
    assert (quiet.verdict == Verdict.ANOMALY).mean() < 0.03
    assert (quiet.verdict[:20] == Verdict.WARM_UP).all()
    values[600, 0] += 12
    values[700:, 2] -= 15
    values[800, 1] = np.nan
    told = observe(detector, values).explanations
    assert told[600].channels[0] == "temperature"
    assert told[600].observed == values[600, 0]
    assert told[700].channels[0] == "pressure"
    assert told[700].sentence.startswith("pressure 94")


def test_the_detector_alarms_no_more_on_the_lake_than_it_said(model, trained):
    detector = make_detector("pretrained", ROOM, model=model, warm_up=20)
    shares = [
        (observe(detector, values_of(device, 1500)).verdict[1200:] == Verdict.ANOMALY).mean()
        for device in range(6)
    ]
    assert np.mean(shares) < 2 * trained.about.alarm_rate


def test_a_time_range_and_devices_are_kept_to(lake):
    end = T0 + timedelta(hours=12)
    trained = train(Training(lake=lake, **QUICK, end=end, devices="room-[01]"))
    assert trained.about.devices == 2
    assert trained.readings == 2 * (720 - 2)
    assert trained.about.end == "2026-01-02T11:59:00Z"


def test_no_more_rows_than_the_sample_are_trained_on(lake):
    trained = train(Training(lake=lake, **QUICK, sample=500))
    assert (trained.about.rows, trained.about.held_out) == (500, 500)


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 50, 51], list(range(1, 100))])
def test_every_row_is_drawn_with_the_same_chance_however_the_stream_is_cut(cuts):
    rows = np.arange(100, dtype=np.float32)[:, None]
    drawn = Drawn(10, np.random.default_rng(7))
    for part in np.split(rows, cuts):
        drawn.add(part)
    whole = Drawn(10, np.random.default_rng(7))
    whole.add(rows)
    assert drawn.rows.tolist() == whole.rows.tolist()
    assert len(drawn.rows) == 10


def test_progress_is_told(lake):
    told = []
    train(Training(lake=lake, **QUICK), lambda rows, total: told.append((rows, total)))
    assert told[-1] == (6 * 1495, 6 * 1495)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"devices": "cellar-*"}, "no readings that fit"),
        ({"start": T0 + timedelta(days=90)}, "no readings that fit"),
        ({"end": T0 + timedelta(minutes=30)}, "are too few"),
        ({"schema": "env_telemetry"}, "has no channel 'co'"),
        ({"alarm_rate": 0.0}, "--alarm-rate: between 0 and 1"),
        ({"trees": 0}, "--trees: at least 1"),
        ({"trees": 2000}, "--trees: at most 1000"),
        ({"sample": 1}, "--sample: at least 2"),
    ],
)
def test_what_cannot_be_trained_on_is_told(lake, wrong, words):
    with pytest.raises(ValueError, match=words):
        train(Training(lake=lake, **{**QUICK, **wrong}))


def test_no_lake_is_told_as_everywhere(tmp_path):
    with pytest.raises(TableNotFoundError):
        train(Training(lake=str(tmp_path / "none")))


def command(*arguments):
    app = typer.Typer()
    app.command()(train_command)
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_the_command_writes_the_file_and_says_how_to_use_it(lake, tmp_path):
    place = tmp_path / "models" / "rooms.onnx"
    result = command(
        "--lake", lake, "--detector-out", str(place), "--trees=5", "--alarm-rate=0.01",
        "--from=2026-01-02", "--window=60",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "of 8,970 readings of 6 devices" in result.output
    assert "channels temperature, humidity, pressure" in result.output
    assert "detector: pretrained" in result.output
    assert list(place.parent.iterdir()) == [place]
    onnx.checker.check_model(onnx.load(place))
    assert make_detector("pretrained", ROOM, model=str(place)).thresholds[0] > 0


def test_the_file_is_plain_onnx_of_one_operator_and_has_no_code_in_it(model):
    graph = onnx.load(model).graph
    assert [node.op_type for node in graph.node] == ["TreeEnsembleRegressor"]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.run(None, {"features": np.zeros((2, 9), np.float32)})[0].shape == (2, 4)


def test_a_model_is_stored_and_read_on_s3(trained, bucket):
    store(trained.content, f"s3://{bucket}/rooms/model.onnx")
    detector = make_detector("pretrained", ROOM, model=f"s3://{bucket}/rooms/model.onnx")
    assert detector.thresholds == (trained.about.threshold,)
    with pytest.raises(ValueError, match=f"detector pretrained: model: s3://{bucket}/none"):
        make_detector("pretrained", ROOM, model=f"s3://{bucket}/none.onnx")
    assert threading.active_count() < 50
