import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from eddyline.io.lake import RawZone, WriteLake, create_tables, open_table, read_raw
from eddyline.io.lake.gather_bundle import GatherBundle
from eddyline.io.lake.tables import Table
from eddyline.schemas.message import MESSAGE_SCHEMA


@pytest.fixture
def lake(tmp_path):
    return str(tmp_path / "lake")


def count(files):
    return (
        files
        | "Rows" >> beam.Map(lambda file: (file.table, file.rows))
        | "Sum" >> beam.CombinePerKey(sum)
    )


@pytest.mark.parametrize("streaming", [False, True])
def test_only_a_stream_waits_for_checkpoints(lake, table, batches, streaming):
    # Flink refuses a bounded job with a step that asks when a checkpoint is complete.
    job = beam.Pipeline(runner=FnApiRunner())
    readings = job | beam.Create(batches(range(10)), reshuffle=False)
    _ = {"readings": readings} | WriteLake(
        lake, [table], streaming=streaming, durability="checkpoint"
    )
    graph = job.to_runner_api()
    steps = [
        beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload)
        for step in graph.components.transforms.values()
        if step.spec.urn == common_urns.primitives.PAR_DO.urn
    ]
    assert any(step.requests_finalization for step in steps) == streaming


@pytest.mark.job
def test_a_bounded_job_writes_several_tables_to_the_last_row(
    lake, table, batches, ids, message_record
):
    minutes = Table("minutes", table.schema, "event_time")
    nothing = Table("anomalies", table.schema, "event_time")
    messages = pa.RecordBatch.from_pydict(
        {
            "payload": [b"%d" % n for n in range(250)],
            "attributes": [[("content-type", "json")]] * 250,
            "source": ["a.jsonl"] * 250,
            "position": [f"{n:08d}" for n in range(250)],
            "arrival_time": [n * 60_000_000 for n in range(250)],
        },
        schema=MESSAGE_SCHEMA,
    )
    targets = [table, minutes, nothing, RawZone(message_record)]
    create_tables(lake, targets)
    readings = batches(range(1000)) + batches(range(1000, 1300), day=3) + batches([], day=1)
    with beam.Pipeline(runner=FnApiRunner()) as job:
        files = {
            "readings": job | "Readings" >> beam.Create(readings, reshuffle=False),
            "minutes": job
            | "Minutes" >> beam.Create(batches(range(70), size=7), reshuffle=False)
            | "Windows" >> beam.WindowInto(FixedWindows(60)),
            "anomalies": job
            | "Anomalies" >> beam.Create([], reshuffle=False).with_output_types(pa.RecordBatch),
            "raw": job | "Raw" >> beam.Create([messages], reshuffle=False),
        } | WriteLake(lake, targets, flush_bytes=2_000)
        assert_that(count(files), equal_to([("readings", 1300), ("minutes", 70), ("raw", 250)]))
    assert ids(open_table(lake, "readings")) == list(range(1300))
    assert ids(open_table(lake, "minutes")) == list(range(70))
    assert ids(open_table(lake, "anomalies")) == []
    assert len(open_table(lake, "readings").file_uris()) > 8, "nothing was written by size"
    back = [row for batch in read_raw(lake) for row in batch.to_pylist()]
    assert back == messages.to_pylist()


@pytest.mark.job
def test_a_second_job_over_the_lake_adds_to_it(lake, table, batches, ids):
    for first in (0, 10):
        with beam.Pipeline(runner=FnApiRunner()) as job:
            made = job | beam.Create(batches(range(first, first + 10)), reshuffle=False)
            _ = {"readings": made} | WriteLake(lake, [table])
    assert ids(open_table(lake, "readings")) == list(range(20))


@pytest.mark.job
def test_a_job_that_failed_after_its_files_were_written_leaves_nothing_to_see(
    lake, table, batches, ids, tmp_path, monkeypatch
):
    create_tables(lake, [table])

    def run():
        with beam.Pipeline(runner=FnApiRunner()) as job:
            made = job | beam.Create(batches(range(300)), reshuffle=False)
            _ = {"readings": made} | WriteLake(lake, [table])

    with monkeypatch.context() as patch:
        patch.setattr(GatherBundle, "_flush", failing_flush(GatherBundle._flush))
        with pytest.raises(RuntimeError, match="a worker is lost"):
            run()
    assert ids(open_table(lake, "readings")) == []
    assert list((tmp_path / "lake" / "readings").rglob("*.parquet"))
    run()
    assert ids(open_table(lake, "readings")) == list(range(300))


def failing_flush(flush):
    def fail(self, *arguments):
        list(flush(self, *arguments))
        raise RuntimeError("a worker is lost")

    return fail


@pytest.mark.job
def test_a_stream_is_visible_before_it_ends_and_complete_after(lake, table, batches, ids, tmp_path):
    seen, told = tmp_path / "seen", tmp_path / "told"

    def note(path, value):
        with path.open("a") as notes:
            notes.write(f"{value}\n")

    def noted(path):
        return [int(line) for line in path.read_text().split()]

    create_tables(lake, [table])
    late = 2_000_000_000
    stream = test_stream.TestStream().advance_watermark_to(0)
    for number, batch in enumerate(batches(range(500))):
        stream = stream.add_elements([TimestampedValue(batch, number)])
        stream = stream.advance_processing_time(late if number == 1 else 10)
        stream = stream.advance_watermark_to(number + 1)
    stream = stream.advance_watermark_to_infinity()
    options = PipelineOptions(streaming=True)
    with beam.Pipeline(runner=BundleBasedDirectRunner(), options=options) as job:
        made = job | stream | beam.Map(lambda batch: batch)
        _ = made | "Look" >> beam.Map(
            lambda _: note(seen, open_table(lake, "readings").to_pyarrow_dataset().count_rows())
        )
        files = {"readings": made} | WriteLake(lake, [table], streaming=True)
        _ = files | "Tell" >> beam.Map(lambda file: note(told, file.rows))
    assert ids(open_table(lake, "readings")) == list(range(500))
    assert sum(noted(told)) == 500
    assert 0 < max(noted(seen)) < 500, "nothing was visible while the stream ran"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shards": 0}, "shards"),
        ({"flush_seconds": 0}, "flush_seconds"),
        ({"flush_bytes": 0}, "flush_bytes"),
        ({"durability": "hope"}, "durability"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(table, wrong, said):
    with pytest.raises(ValueError, match=said):
        WriteLake("lake", [table], **wrong)


def test_two_targets_of_one_name_are_refused(table):
    with pytest.raises(ValueError, match="two of one name"):
        WriteLake("lake", [table, table])
