"""Whatever an engine does to a shard's state and workers, the rows are those of a calm run."""

import pickle
from itertools import pairwise
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream as events_source
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.decode import earliest
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.fleet import fleet_log
from eddyline.transforms.incidents.command import Command, command_batch
from eddyline.transforms.incidents.export_command import export_batch
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.watch import FleetSettings, Watch, WatchShard

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND


class Timer:
    """A timer of an engine, which is part of what it forgets."""

    due = None

    def set(self, when):
        self.due = when

    def clear(self):
        self.due = None


class Shard:
    """A shard in an engine: its state, its timer, and the workers that it may go to.

    Args:
        workers: What has decoded fleets of its own.
        state: Its cells.
        bundles: Batches; each makes one bundle, with the timer that fires behind it.
    """

    def __init__(self, workers, state, bundles):
        self.workers, self.state, self.bundles = workers, state, bundles
        self.timer, self.done, self.outputs = Timer(), 0, []
        self.checkpoints = [self.checkpoint()]

    def checkpoint(self):
        return self.state.commit(), self.timer.due, self.done, list(self.outputs)

    def attempt(self, worker):
        """One bundle; what it gives, in words."""
        watch, batch = self.workers[worker], self.bundles[self.done]
        names = batch.schema.names
        stream = NEVER
        if "event_time" in names and batch.num_rows:
            stream = T0 + 20 * SECOND * self.done
        given = list(watch.process((0, (stream, batch)), *self.state.cells, self.timer))
        if self.done % 3 == 2 and self.timer.due is not None:
            given += watch.release(0, self.timer.due, *self.state.cells, self.timer)
        return [repr((getattr(o, "tag", "scored"), told(o.value))) for o in given]

    def commit(self, worker):
        """A bundle that ends well, and a checkpoint behind it."""
        self.outputs += self.attempt(worker)
        self.done += 1
        self.checkpoints.append(self.checkpoint())

    def fail(self, worker):
        """A bundle that fails after it has written its state."""
        due = self.timer.due
        self.attempt(worker)
        self.state.fail()
        self.timer.due = due

    def restore(self, back):
        """The engine falls back to an earlier checkpoint; the workers live on."""
        del self.checkpoints[max(1, len(self.checkpoints) - back) :]
        values, self.timer.due, self.done, outputs = self.checkpoints[-1]
        self.state.fail(to=values)
        self.state.commit()
        self.outputs = list(outputs)

    def run(self, events=()):
        """Play what happens, then go on to the end."""
        for event, number in events:
            if self.done == len(self.bundles):
                break
            getattr(self, event)(number)
        while self.done < len(self.bundles):
            self.commit(0)
        return self.outputs


def told(value):
    value = getattr(value, "value", value)
    return (value[1] if isinstance(value, tuple) else value).to_pylist()


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(0, 1)),
        st.tuples(st.just("fail"), st.integers(0, 1)),
        st.tuples(st.just("restore"), st.integers(1, 6)),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def bundles(readings):
    """Readings in disorder, some repeated or late, faults, a command, an export, an idle time."""
    rows, made = [], []
    for t in range(0, 400, 5):
        value = 30.0 if t % 90 > 70 else 0.0
        rows.append((f"d{t // 5 % 4}", t + 7 * (t % 3), t, (value, 9 if t % 65 == 0 else 0)))
        if t % 35 == 0:
            rows.append(rows[-2] if t else rows[-1])
        if t > 50 and t % 85 == 0:
            rows.append(("d1", t - 50, 1000 + t, (0.0, 0)))
    cuts = [*range(0, len(rows), 6), len(rows)]
    made = [readings(rows[a:b], a) for a, b in pairwise(cuts)]
    command = Command(T0 + 90 * SECOND, "d2", "unknown", "false_alarm", "event")
    made.insert(6, command_batch([command]))
    made.insert(9, export_batch([T0 + 120 * SECOND]))
    made.insert(12, readings([]))
    return made


@pytest.mark.parametrize(("most_deltas", "share"), [(3, 2.0), (10**6, 2.0), (10**6, 0.3)])
def test_rows_do_not_tell_of_failed_bundles_restored_checkpoints_and_other_workers(
    contract, plain_detector, bundles, new_state, monkeypatch, most_deltas, share
):
    monkeypatch.setattr(fleet_log, "MOST_DELTAS", most_deltas)
    monkeypatch.setattr(fleet_log, "SHARE", share)
    monkeypatch.setattr(fleet_log, "LARGEST", 2.0 if share < 1 else 1e6)
    fleet_settings = FleetSettings(contract, plain_detector)

    def shard():
        workers = [WatchShard(fleet_settings, KnownFiles(lambda: 0.0), 1) for _ in range(2)]
        for worker in workers:
            worker.setup()
        return Shard(workers, new_state(), bundles)

    calm = shard()
    expected = calm.run()
    assert {word.split("'")[1] for word in expected} == {
        "scored",
        "unique",
        "anomalies",
        "incidents",
        "states",
    }

    @settings(max_examples=25)
    @given(EVENTS)
    def check(events):
        disturbed = shard()
        assert disturbed.run(events) == expected
        assert disturbed.state.commit() == calm.state.commit()

    check()


def test_a_rewound_log_is_noticed_by_a_worker_that_has_gone_further(
    contract, plain_detector, bundles, new_state, monkeypatch
):
    """Its decoded fleet is of a state that the engine has forgotten."""
    monkeypatch.setattr(fleet_log, "SHARE", 2.0)
    monkeypatch.setattr(fleet_log, "LARGEST", 1e6)
    worker = WatchShard(FleetSettings(contract, plain_detector), KnownFiles(lambda: 0.0), 1)
    worker.setup()
    shard = Shard([worker], new_state(), bundles)
    for _ in range(5):
        shard.commit(0)
    further = worker._decoded[0][1]
    log = shard.state.cells[1]
    deltas = len(log.values)
    shard.restore(2)
    assert len(log.values) < deltas - 1
    shard.commit(0)
    assert worker._decoded[0][1] is not further
    assert worker._decoded[0][1].admission.last_seen.max() < further.admission.last_seen.max()
    # And one whose decoded fleet is still what the engine holds reads no log.
    with monkeypatch.context() as broken:
        broken.setattr(log, "read", lambda: 1 / 0)
        shard.commit(0)


# On a runner.


class Stamp(beam.DoFn):
    """Stamps a batch as Decode does."""

    def process(self, batch):
        yield TimestampedValue(batch, earliest(batch, "event_time"))


class Keep(beam.DoFn):
    def __init__(self, path):
        self.path = str(path)

    def process(self, batch):
        with Path(self.path).open("ab") as file:
            pickle.dump(batch.to_pylist(), file)


def kept(path):
    rows = []
    if path.exists():
        with path.open("rb") as file:
            while file.peek(1):
                rows += pickle.load(file)
    return sorted(map(repr, rows))


def watch_on(runner, source, fleet_settings, folder, *, streaming):
    folder.mkdir()
    pipeline = beam.Pipeline(runner, PipelineOptions([], streaming=streaming))
    watched = (
        pipeline
        | "Source" >> source
        | "Stamp" >> beam.ParDo(Stamp()).with_output_types(pa.RecordBatch)
        | "Watch" >> Watch(fleet_settings, KnownFiles(lambda: 0.0), 2, streaming)
    )
    for name in ("scored", "anomalies", "incidents"):
        _ = getattr(watched, name) | f"Keep {name}" >> beam.ParDo(Keep(folder / name))
    pipeline.run().wait_until_finish()
    return {name: kept(folder / name) for name in ("scored", "anomalies", "incidents")}


@pytest.mark.job
def test_a_job_whose_bundles_fail_and_whose_log_is_short_gives_the_rows_of_the_fold(
    contract, plain_detector, readings, tmp_path, monkeypatch
):
    """Each fifth write of state fails its bundle, when base, log and timer are written."""
    monkeypatch.setattr(fleet_log, "MOST_DELTAS", 2)
    monkeypatch.setattr(fleet_log, "SHARE", 0.6)
    bases, writes = [], []
    write_base, write = fleet_log.FleetLog._write_base, WatchShard._write

    def counted(log, fleet):
        bases.append(log.digest)
        return write_base(log, fleet)

    def failing(watch, *given):
        write(watch, *given)
        writes.append(given)
        if len(writes) % 5 == 0:
            raise ConnectionError("the worker is gone")

    monkeypatch.setattr(fleet_log.FleetLog, "_write_base", counted)
    monkeypatch.setattr(WatchShard, "_write", failing)
    rows = [
        (f"d{t % 7}", t + 6 * (t % 2), t, (30.0 if t % 60 > 40 else 0.0, 9 * (t % 50 == 0)))
        for t in range(240)
    ]
    batches = [readings(rows[at : at + 8], at) for at in range(0, len(rows), 8)]
    source = events_source.TestStream(coder=RecordBatchCoder())
    source.advance_watermark_to(Timestamp(T0 // SECOND - 1000))
    for number, batch in enumerate(batches):
        source.add_elements([TimestampedValue(batch, T0 // SECOND + 8 * number)])
        source.advance_watermark_to(Timestamp(T0 // SECOND + 8 * number))
    source.advance_watermark_to_infinity()
    fleet_settings = FleetSettings(contract, plain_detector)
    streamed = watch_on(
        "BundleBasedDirectRunner", source, fleet_settings, tmp_path / "stream", streaming=True
    )
    folded = watch_on(
        "FnApiRunner", beam.Create(batches), fleet_settings, tmp_path / "fold", streaming=False
    )
    assert streamed == folded
    assert streamed["incidents"]
    assert len(streamed["scored"]) == len(rows)
    assert len(writes) > 60
    assert 10 < len(bases) < len(writes) - 20
