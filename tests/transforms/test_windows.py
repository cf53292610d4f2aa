"""Watch and Summarize on a runner: event time, panes, timers, and the bounded form beside it."""

import pickle
from collections import Counter
from datetime import datetime
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.pipeline_context import PipelineContext
from apache_beam.testing import test_stream as events_source
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.decode import earliest
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.summarize import Summarize
from eddyline.transforms.watch import FleetSettings, Watch

pytestmark = pytest.mark.job
T0 = 1_767_312_000
SHARDS = 3


class Stamp(beam.DoFn):
    """Stamp a batch as Decode does. Between source and state, which Prism wants too."""

    def process(self, batch):
        yield TimestampedValue(batch, earliest(batch, "event_time"))


class Keep(beam.DoFn):
    def __init__(self, path):
        self.path = str(path)

    def process(self, batch):
        with Path(self.path).open("ab") as file:
            pickle.dump(batch, file)


class Outputs:
    """What a job wrote, in the order in which it did."""

    def __init__(self, folder):
        self.unique = self._rows(folder / "unique")
        self.scored = self._rows(folder / "scored")
        self.anomalies = self._rows(folder / "anomalies")
        self.minutes = self._rows(folder / "minutes")

    @staticmethod
    def _rows(path):
        rows = []
        if path.exists():
            with path.open("rb") as file:
                while file.peek(1):
                    rows += pickle.load(file).to_pylist()
        return rows

    def verdicts(self):
        return {row["reading_id"]: row["verdict"] for row in self.scored}

    def told(self):
        """(minute, device, revision, readings), sorted: shards come in any order."""
        return sorted(
            (
                int(row["minute_start"].timestamp() - T0) // 60,
                row["device_id"],
                row["revision"],
                row["readings"],
            )
            for row in self.minutes
        )

    def words(self, name):
        return sorted(map(repr, getattr(self, name)))

    def last_minutes(self):
        """Each device's minute as the highest revision tells it."""
        rows = sorted(self.minutes, key=lambda row: row["revision"])
        last = {(row["device_id"], row["minute_start"]): row for row in rows}
        return sorted(repr({**row, "revision": None}) for row in last.values())


@pytest.fixture
def run(contract, small_detector, tmp_path):
    """Run Watch and Summarize on a source; fails unless every reading is accounted for."""
    runs = iter(range(9))

    def through(source, batches, runner, *, streaming, summarize=None):
        folder = tmp_path / str(next(runs))
        folder.mkdir()
        # On the runner for TestStream all is one pane unless the options say streaming.
        options = PipelineOptions([], streaming=runner == "BundleBasedDirectRunner")
        pipeline = beam.Pipeline(runner, options)
        outputs = build(
            pipeline | "Source" >> source, contract, small_detector, streaming, summarize or {}
        )
        for name, rows in outputs.items():
            _ = rows | f"Keep {name}" >> beam.ParDo(Keep(folder / name))
        pipeline.run().wait_until_finish()
        result = Outputs(folder)
        ids = {i for batch in batches for i in batch.column("reading_id").to_pylist()}
        for rows in (result.unique, result.scored):
            assert Counter(row["reading_id"] for row in rows) == Counter(ids)
        return result

    return through


def build(source, contract, small_detector, streaming, summarize):
    watched = (
        source
        | "Stamp" >> beam.ParDo(Stamp()).with_output_types(pa.RecordBatch)
        | "Watch"
        >> Watch(
            FleetSettings(contract, small_detector()),
            KnownFiles(lambda: 0.0),
            SHARDS,
            streaming,
        )
    )
    minutes = watched.unique | "Summarize" >> Summarize(contract, streaming=streaming, **summarize)
    return {
        "unique": watched.unique | "Drop keys" >> beam.Values(),
        "scored": watched.scored,
        "anomalies": watched.anomalies,
        "minutes": minutes,
    }


@pytest.fixture
def play(run, readings):
    """Play events: rows to send, or ("watermark" | "clock", seconds)."""

    def through(*events, **summarize):
        stream = events_source.TestStream(coder=RecordBatchCoder()).advance_watermark_to(
            Timestamp(T0 - 1000)
        )
        batches = []
        for event in events:
            if event[0] == "watermark":
                stream.advance_watermark_to(Timestamp(T0 + event[1]))
            elif event[0] == "clock":
                stream.advance_processing_time(event[1])
            else:
                at = sum(batch.num_rows for batch in batches)
                batches.append(readings(event, at))
                stamp = T0 + min(row[1] for row in event)
                stream.add_elements([TimestampedValue(batches[-1], stamp)])
        stream.advance_watermark_to_infinity()
        return run(stream, batches, "BundleBasedDirectRunner", streaming=True, summarize=summarize)

    return through


def watermarks(start, end, step=5):
    """Small steps: this runner's event-time timers do not hold the watermark."""
    return [("watermark", seconds) for seconds in range(start, end, step)]


def cells(*rows):
    return [(device, time, identity, (20.0 + time % 3,)) for device, time, identity in rows]


def test_a_minute_is_told_once_when_the_watermark_passes_its_end(play):
    result = play(
        cells(("a", 1, 1), ("b", 2, 2)),
        ("watermark", 30),
        cells(("a", 40, 3), ("a", 59.999999, 4), ("a", 60, 5)),
        *watermarks(50, 75),
        cells(("b", 70, 6)),
        *watermarks(80, 150),
    )
    assert result.told() == [(0, "a", 0, 3), (0, "b", 0, 1), (1, "a", 0, 1), (1, "b", 0, 1)]
    assert set(result.verdicts().values()) == {"WARM_UP"}


def test_a_late_reading_revises_its_minute_for_its_device_alone(play):
    result = play(
        cells(("a", 1, 1), ("b", 2, 2)),
        *watermarks(10, 100),
        cells(("a", 95, 3), ("b", 95, 4)),
        cells(("a", 3, 5), ("a", 4, 6)),
        *watermarks(100, 200),
        cells(("b", 2.5, 7)),
    )
    assert [told for told in result.told() if told[0] == 0] == [
        (0, "a", 0, 1),
        (0, "a", 1, 3),
        (0, "b", 0, 1),
        (0, "b", 1, 2),
    ]
    verdicts = result.verdicts()
    assert {identity for identity, verdict in verdicts.items() if verdict == "LATE"} == {5, 6, 7}


def test_a_late_reading_does_not_share_the_fate_of_a_punctual_one_in_its_batch(play):
    result = play(
        cells(("a", 1, 1)),
        *watermarks(10, 300),
        cells(("a", 3, 2), ("a", 301, 3), ("b", 301, 4)),
        *watermarks(305, 400),
        allowed_lateness=100,
    )
    assert result.told() == [(0, "a", 0, 1), (5, "a", 0, 1), (5, "b", 0, 1)]


def test_a_reading_beyond_the_lateness_is_kept_as_late_and_changes_no_minute(play):
    result = play(
        cells(("a", 1, 1)),
        *watermarks(10, 200),
        cells(("a", 190, 2)),
        *watermarks(200, 300),
        cells(("a", 3, 3)),
        *watermarks(300, 400),
        allowed_lateness=120,
    )
    assert result.verdicts()[3] == "LATE"
    assert result.told() == [(0, "a", 0, 1), (3, "a", 0, 1)]


def test_an_open_minute_is_told_early_and_again_only_where_it_changed(play):
    result = play(
        cells(("a", 1, 1), ("b", 1, 2)),
        ("clock", 20),
        cells(("a", 30, 3)),
        *watermarks(35, 150),
        early=5,
    )
    assert result.told() == [(0, "a", 0, 1), (0, "a", 1, 2), (0, "b", 0, 1)]


def test_a_minute_without_readings_has_no_row(play):
    result = play(
        cells(("a", 1, 1)), *watermarks(10, 200), cells(("a", 200, 2)), *watermarks(200, 300)
    )
    assert result.told() == [(0, "a", 0, 1), (3, "a", 0, 1)]


def test_a_watermark_that_jumps_releases_everything_behind_it(play):
    result = play(
        cells(("a", 1, 1), ("b", 65, 2), ("a", 130, 3)),
        ("watermark", 86_400),
        cells(("a", 86_390, 4)),
        ("watermark", 86_500),
    )
    assert result.told() == [
        (0, "a", 0, 1),
        (1, "b", 0, 1),
        (2, "a", 0, 1),
        (1439, "a", 0, 1),
    ]
    assert "LATE" not in result.verdicts().values()


def test_the_watermark_releases_what_waits_for_order(play):
    """A device that is not seen again is scored; what comes before that reading then is late."""
    before = [cells(("a", 20, 1)), ("watermark", 29)]
    released = play(*before, *watermarks(30, 36, 1), cells(("a", 19, 2)))
    assert released.verdicts() == {1: "WARM_UP", 2: "LATE"}
    waiting = play(*before, ("watermark", 30), cells(("a", 19, 2)))
    assert [row["reading_id"] for row in waiting.scored] == [2, 1]
    assert set(waiting.verdicts().values()) == {"WARM_UP"}


def test_copies_in_other_bundles_are_dropped(play):
    rows = cells(("a", 1, 1), ("b", 2, 2), ("a", 5, 3))
    result = play(rows, ("watermark", 3), rows, *watermarks(10, 90), rows[:1], *watermarks(90, 100))
    assert result.told() == [(0, "a", 0, 2), (0, "b", 0, 1)]


def faulty_fleet(number=40):
    """Rows of 6 devices every 5 s, with planted spikes, by event time."""
    return [
        (f"d{device}", 5 * t + device / 8, 10 * t + device, (80.0 if t % 17 == 16 else 20 + t % 3,))
        for t in range(number)
        for device in range(6)
    ]


def shuffled(rows, bound):
    """Whoever is at most `bound` late overtakes nobody by more."""
    return sorted(rows, key=lambda row: (row[1] + 7919 * row[2] % 1000 / 1000 * bound, row[2]))


def cut(rows, size):
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@pytest.fixture
def bounded(run, readings):
    """The bounded form over batches of rows, handed over in another order than they arrived in."""

    def through(arriving, streaming=False):
        batches, at = [], 0
        for rows in arriving:
            batches.append(readings(rows, at))
            at += len(rows)
        batches = batches[1::2] + batches[::2]
        return run(beam.Create(batches), batches, "FnApiRunner", streaming=streaming)

    return through


def live(arriving, behind):
    """Each batch, and then a watermark that is `behind` the latest event time seen."""
    latest, at, events = 0, -999, []
    for rows in arriving:
        events.append(rows)
        latest = max(latest, *(row[1] for row in rows))
        events += watermarks(at + 1, int(latest - behind), 20)
        at = max([at] + [w[1] for w in events if w[0] == "watermark"])
    return events


@pytest.mark.parametrize("disorder", [0, 10])
def test_the_bounded_and_the_streaming_form_give_the_same_rows(play, bounded, disorder):
    arriving = cut(shuffled(faulty_fleet(), disorder), 30)
    streaming, batch = play(*live(arriving, 12)), bounded(arriving)
    assert len(batch.anomalies) > 0
    for name in ("unique", "scored", "anomalies", "minutes"):
        assert streaming.words(name) == batch.words(name)


def test_a_bounded_replay_of_late_readings_gives_the_rows_of_the_live_run(play, bounded):
    rows = faulty_fleet()
    stragglers = [(f"d{n % 6}", 7.5 * n, 5000 + n, (50.0,)) for n in range(12)]
    for n, straggler in enumerate(stragglers):
        rows.insert(130 + 9 * n, straggler)
    arriving = cut(rows, 30)
    streaming, batch = play(*live(arriving, 20)), bounded(arriving)
    late = {identity for identity, verdict in batch.verdicts().items() if verdict == "LATE"}
    assert late == {5000 + n for n in range(12)}
    for name in ("unique", "scored", "anomalies"):
        assert streaming.words(name) == batch.words(name)
    assert streaming.last_minutes() == batch.last_minutes()
    assert max(row["revision"] for row in streaming.minutes) > 0
    assert {row["revision"] for row in batch.minutes} == {0}


@pytest.mark.timeout(60)
def test_timers_that_cross_to_an_engine_in_milliseconds_end(bounded):
    """A timer for the microsecond after a reading's would be cut to before it, for ever."""
    rows = [("a", 1.000001, 1), ("b", 1.5, 2), ("c", 2, 3), ("a", 1.999999, 4)]
    assert len(bounded([rows], streaming=True).scored) == 4


@pytest.mark.parametrize("streaming", [True, False])
def test_nothing_crosses_between_the_steps_pickled(contract, small_detector, readings, streaming):
    pipeline = beam.Pipeline("FnApiRunner", PipelineOptions([]))
    source = pipeline | beam.Create([readings([])])
    build(source, contract, small_detector, streaming, {})
    proto = pipeline.to_runner_api()
    context = PipelineContext(proto.components)
    coders = [
        (transform.unique_name, repr(context.coders[proto.components.pcollections[name].coder_id]))
        for transform in proto.components.transforms.values()
        for name in transform.outputs.values()
        if transform.unique_name.startswith(("Watch/", "Summarize/"))
    ]
    assert len(coders) > 5
    assert [c for c in coders if "FastPrimitives" in c[1] or "Pickle" in c[1]] == []


def test_minutes_are_in_utc(play):
    result = play(cells(("a", 61, 1)), ("watermark", 200))
    (row,) = result.minutes
    assert row["minute_start"] == datetime.fromisoformat("2026-01-02T00:01:00+00:00")
