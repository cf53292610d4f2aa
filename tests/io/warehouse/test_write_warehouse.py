"""The transform: several tables, dead letters, bundles that are repeated."""

from functools import partial

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows
from apache_beam.utils.timestamp import Timestamp

from eddyline.io.rows import resend as waiting
from eddyline.io.rows.send import SendRows
from eddyline.io.warehouse import WriteWarehouse
from eddyline.io.warehouse.dataset import Dataset
from eddyline.io.warehouse.write import writer


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_WAIT", 0.01)


@pytest.mark.job
@pytest.mark.parametrize("shards", [0, 2])
def test_a_job_writes_its_tables_and_gives_back_what_was_refused(
    bigquery, table, minutes, letters, shards
):
    column = next(c for c in bigquery.tables["t.minutes"] if c["name"] == "readings")
    column["type"] = "BOOLEAN"
    bigquery.answers = [(503, "backendError")] * 2
    tables = [table("minutes"), table("dead_letters"), table("anomalies")]
    with beam.Pipeline(runner=FnApiRunner()) as job:
        batches = {
            "minutes": job
            | "Minutes" >> beam.Create([minutes(range(3)), minutes([])], reshuffle=False)
            | beam.WindowInto(FixedWindows(60)),
            "dead_letters": job | "Letters" >> beam.Create([letters([b"{"])], reshuffle=False),
        }
        refused = batches | "Warehouse" >> WriteWarehouse("p.t", tables, shards=shards)
        told = refused | beam.FlatMap(
            lambda batch: [(r["stage"], r["source"], r["reason"]) for r in batch.to_pylist()]
        )
        assert_that(told, equal_to([("warehouse", "bigquery:p.t.minutes", "refused")] * 3))
    assert bigquery.stored["t.minutes"] == []
    assert len(bigquery.stored["t.dead_letters"]) == 1


def written(fn, bundle):
    fn.start_bundle()
    out = [letters for batch in bundle for letters in fn.process(batch, Timestamp(5))]
    return [item.value for item in [*out, *fn.finish_bundle()]]


@pytest.fixture
def write_rows(bigquery):
    made = []

    def make(table):
        connect = partial(writer, Dataset("p", "t"), "streaming_inserts", 10.0)
        fn = SendRows("warehouse", "bigquery:p.t", table, connect)
        fn.setup()
        made.append(fn)
        return fn

    yield make
    for fn in made:
        fn.teardown()


def test_a_bundle_that_is_repeated_by_another_worker_leaves_each_row_once(
    bigquery, write_rows, table, minutes
):
    bundle = [minutes(range(n, n + 40)) for n in range(0, 1200, 40)]
    failed = write_rows(table("minutes"))
    failed.start_bundle()
    for batch in bundle[:20]:  # two requests leave, then the worker is gone
        assert list(failed.process(batch, Timestamp(5))) == []
    assert 0 < len(bigquery.stored["t.minutes"]) < 800
    assert written(write_rows(table("minutes")), bundle) == []
    assert len(bigquery.stored["t.minutes"]) == 1200
    assert {row["device_id"] for row in bigquery.stored["t.minutes"]} == {
        f"room-{n}" for n in range(1200)
    }


def test_a_bundles_small_batches_share_a_request(bigquery, write_rows, table, minutes):
    written(write_rows(table("minutes")), [minutes([n]) for n in range(100)])
    assert (bigquery.requests, len(bigquery.stored["t.minutes"])) == (1, 100)


def test_an_empty_bundle_asks_nothing(bigquery, write_rows, table, minutes):
    assert written(write_rows(table("minutes")), [minutes([])]) == []
    assert bigquery.requests == 0


def test_a_refused_dead_letter_gives_no_further_one(bigquery, write_rows, table, letters):
    bigquery.row_fault = lambda _: "invalid"
    assert written(write_rows(table("dead_letters")), [letters([b"{"])]) == []


def test_dead_letters_have_the_columns_of_their_record(bigquery, write_rows, table, minutes):
    bigquery.row_fault = lambda _: "invalid"
    (letters,) = written(write_rows(table("minutes")), [minutes([4])])
    assert letters.schema.equals(table("dead_letters").schema)
    (row,) = letters.to_pylist()
    assert row["position"].startswith("room-4:2026-01-02T00:00:00.000000Z:0:")
    assert dict(row["attributes"]) == {"table": "minutes"}


def test_settings_are_checked_before_anything_runs(table):
    with pytest.raises(ValueError, match=r"PROJECT\.DATASET"):
        WriteWarehouse("nowhere", [])
    with pytest.raises(ValueError, match="method"):
        WriteWarehouse("p.t", [], method="load_jobs")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="patience"):
        WriteWarehouse("p.t", [], patience=-1)
    rows = beam.Pipeline(runner=FnApiRunner()) | beam.Create([])
    with pytest.raises(ValueError, match="hours"):
        _ = {"hours": rows} | WriteWarehouse("p.t", [table("minutes")])
