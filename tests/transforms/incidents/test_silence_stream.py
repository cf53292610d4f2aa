"""Silence on a runner: shards without readings, the end of a stream, a source that stalls."""

import pickle
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream as events_source
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import make_detector
from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.decode import earliest
from eddyline.transforms.devices.shard import shard_of
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.watch import FleetSettings, Watch

pytestmark = pytest.mark.job
T0 = 1_767_312_000
SHARDS = 4
ARRIVES = 30 * 86_400
"""Seconds from T0: a clock that is ahead of the arrival would not be believed."""


class Stamp(beam.DoFn):
    def process(self, batch):
        yield TimestampedValue(batch, earliest(batch, "event_time"))


class Keep(beam.DoFn):
    def __init__(self, path):
        self.path = str(path)

    def process(self, batch):
        with Path(self.path).open("ab") as file:
            pickle.dump(batch, file)


def kept(path):
    rows = []
    if path.exists():
        with path.open("rb") as file:
            while file.peek(1):
                rows += pickle.load(file).to_pylist()
    return rows


@pytest.fixture
def run(contract, readings, tmp_path):
    """Plays events, batches of rows or watermarks, or folds the batches alone; gives incidents."""
    runs = iter(range(9))

    def through(events, *, streaming=True, registry="", shards=SHARDS):
        path = tmp_path / str(next(runs))
        batches, at = [], ARRIVES
        for event in events:
            if not isinstance(event, int):
                batches.append(readings(event, at))
                at += len(event)
        runner = "BundleBasedDirectRunner" if streaming else "FnApiRunner"
        pipeline = beam.Pipeline(runner, PipelineOptions([], streaming=streaming))
        source = beam.Create(batches)
        if streaming:
            waiting = iter(batches)
            source = events_source.TestStream(coder=RecordBatchCoder())
            source.advance_watermark_to(Timestamp(T0 - 1000))
            for event in events:
                if isinstance(event, int):
                    source.advance_watermark_to(Timestamp(T0 + event))
                else:
                    stamp = T0 + min(row[1] for row in event)
                    source.add_elements([TimestampedValue(next(waiting), stamp)])
            source.advance_watermark_to_infinity()
        channels = [Channel(c.name, c.minimum, c.maximum, c.kind) for c in contract.channels]
        detector = make_detector("moving_average", channels, threshold=1e6, window=4)
        watched = (
            pipeline
            | "Source" >> source
            | "Stamp" >> beam.ParDo(Stamp()).with_output_types(pa.RecordBatch)
            | "Watch"
            >> Watch(
                FleetSettings(contract, detector),
                KnownFiles(lambda: 0.0, registry),
                shards,
                streaming,
            )
        )
        _ = watched.incidents | "Keep" >> beam.ParDo(Keep(path))
        pipeline.run().wait_until_finish()
        rows = kept(path)
        rows.sort(key=lambda row: (row["event_time"], row["device_id"]))
        return [
            (
                row["device_id"],
                row["transition"],
                row["kind"],
                row["event_time"].timestamp() - T0,
            )
            for row in rows
        ]

    return through


def cells(device, start, end, step=20):
    return [
        (device, t, hash((device, t)) % 2**60, (20.0 + t % 3,)) for t in range(start, end, step)
    ]


def stream(*devices, end, step=100):
    """Batches of so many seconds of the devices' rows, each with the watermark behind it.

    A device is (name, from, to) or several such parts.
    """
    events = []
    for at in range(0, end, step):
        rows = [
            row
            for name, start, stop in devices
            for row in cells(name, start, stop)
            if at <= row[1] < at + step
        ]
        if rows:
            events.append(sorted(rows, key=lambda row: row[1]))
        # Small steps: this runner's event-time timers do not hold the watermark.
        events += range(at + 10, at + step - 10, 10)
    return events


def test_the_devices_are_on_shards_of_their_own():
    assert len({shard_of(name, SHARDS) for name in ("a", "d", "never")}) == 3


@pytest.mark.parametrize("streaming", [True, False])
def test_a_silent_device_alone_on_its_shard_is_noticed_and_its_return_too(run, streaming):
    events = stream(("a", 0, 2500), ("d", 0, 1001), ("d", 1900, 2500), end=2500)
    assert run(events, streaming=streaming) == [
        ("d", "opened", "silent", 1060.0),
        ("d", "resolved", "silent", 1900.0),
    ]


@pytest.mark.parametrize("streaming", [True, False])
def test_a_device_that_does_not_return_is_told_once(run, streaming):
    events = stream(("a", 0, 2000), ("d", 0, 1001), end=2000)
    assert run(events, streaming=streaming) == [("d", "opened", "silent", 1060.0)]


@pytest.mark.parametrize("streaming", [True, False])
def test_the_end_of_the_source_makes_nobody_silent(run, streaming):
    assert run(stream(("a", 0, 1001), ("d", 0, 1001), end=1001), streaming=streaming) == []


def test_a_source_that_stalls_makes_nobody_silent(run):
    events = stream(("a", 0, 1001), ("d", 0, 1001), end=1001)
    events += range(1100, 9000, 50)
    assert run(events) == []


@pytest.mark.parametrize("streaming", [True, False])
def test_an_expected_device_is_missing_after_the_grace_time(run, tmp_path, streaming):
    registry = tmp_path / "devices.csv"
    registry.write_text("device_id,expected\nnever,true\na,true\nother,false\n")
    events = stream(("a", 0, 7400), end=7400)
    rows = run(events, streaming=streaming, registry=str(registry))
    assert rows == [("never", "opened", "missing", 7200.0)]
