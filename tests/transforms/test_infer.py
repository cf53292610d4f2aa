import json
import pickle

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.detectors.endpoint import GIVEN_SCORE
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.scoring import Answer, Failure
from eddyline.transforms.decoding.payload import PayloadParser
from eddyline.transforms.decoding.reading_id import reading_ids
from eddyline.transforms.infer import STAGE, AskEndpoint, Infer, infer

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND


def rows(number):
    return [(f"d{row % 3}", row, row + 1, (20.0 + row, 7, row % 2 == 0)) for row in range(number)]


class Flaky:
    """Scores temperature / 100, and fails where the temperature is in `bad`."""

    def __init__(self, bad):
        self.bad = bad

    def score(self, readings):
        values = readings.column("temperature").to_pylist()
        failures = {
            row: Failure("bad_score", "not today")
            for row, value in enumerate(values)
            if value in self.bad
        }
        scores = np.array([np.nan if r in failures else v / 100 for r, v in enumerate(values)])
        return Answer(scores, failures)


class FlakyEndpoint:
    def __init__(self, bad=()):
        self.bad = frozenset(bad)

    def connect(self, channels):
        assert list(channels) == ["temperature", "passed", "open"]
        return Flaky(self.bad)

    def __repr__(self):
        return f"FlakyEndpoint({sorted(self.bad)})"


@settings(max_examples=50)
@given(number=st.integers(0, 30), data=st.data())
def test_every_reading_stays_and_those_without_a_score_have_a_dead_letter(
    contract, readings, number, data
):
    bad = data.draw(st.sets(st.sampled_from(range(number)))) if number else set()
    batch = readings(rows(number))
    scores = np.array([np.nan if row in bad else float(row) for row in range(number)])
    answer = Answer(scores, {row: Failure("timeout", "no answer") for row in bad})
    found = infer(batch, answer, contract)
    assert found.readings.select(batch.schema.names).equals(batch)
    given_score = found.readings.column(GIVEN_SCORE).to_pylist()
    assert given_score == [None if row in bad else float(row) for row in range(number)]
    assert found.dead_letters.schema == arrow_schema(contract.record("dead_letter"))
    wanted = [batch.column("position").to_pylist()[row] for row in sorted(bad)]
    assert found.dead_letters.column("position").to_pylist() == wanted


def test_a_dead_letter_says_why_and_where_it_came_from(contract, readings):
    answer = Answer(np.array([0.5, np.nan]), {1: Failure("throttled", "429: slow down")})
    [letter] = infer(readings(rows(2)), answer, contract).dead_letters.to_pylist()
    assert (letter["stage"], letter["reason"], letter["error"]) == (
        STAGE,
        "throttled",
        "429: slow down",
    )
    assert (letter["source"], letter["position"], letter["path"]) == ("test", "000000001", None)
    assert json.loads(letter["payload"]) == {
        "device_id": "d1",
        "event_time": "2026-01-02T00:00:01Z",
        "temperature": 21.0,
        "passed": 7,
        "open": False,
    }


def test_the_payload_of_a_dead_letter_is_a_message_of_the_same_reading(contract, readings):
    batch = readings([("a", 1.000007, 1, (20.5, None, True))])
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns["attributes"] = pa.array(['{"battery":{"volts":2.9}}'])
    columns["firmware"] = pa.array(["2.1"])
    batch = pa.RecordBatch.from_pydict(columns, schema=batch.schema)
    answer = Answer(np.array([np.nan]), {0: Failure("timeout", "")})
    [payload] = infer(batch, answer, contract).dead_letters.column("payload").to_pylist()
    [row] = PayloadParser(contract).parse(payload, {}, T0 + 10 * SECOND)
    channels = [
        pa.array([getattr(row.typed, c.name)], batch.schema.field(c.name).type)
        for c in contract.channels
    ]
    same = [batch.column(channel.name) for channel in contract.channels]
    times = np.array([row.event_time])
    assert reading_ids([row.device_id], [None], times, channels) == reading_ids(
        ["a"], [None], batch.column("event_time").cast(pa.int64()).to_numpy(), same
    )
    assert row.attributes == '{"battery":{"volts":2.9}}'
    assert row.typed.firmware == "2.1"


def test_a_model_handler_travels_to_the_workers(contract):
    handler = pickle.loads(pickle.dumps(AskEndpoint(contract, FlakyEndpoint())))
    assert handler.should_skip_batching()
    assert handler.get_metrics_namespace() == "eddyline"


class Stamp(beam.DoFn):
    def process(self, batch, time=beam.DoFn.TimestampParam):
        assert GIVEN_SCORE in batch.schema.names
        yield time.micros, batch.num_rows, batch.column(GIVEN_SCORE).null_count


@pytest.mark.job
def test_a_job_keeps_every_reading_and_its_time(contract, readings):
    batches = [readings(rows(5)), readings(rows(4), at=100)]
    with beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
        outputs = (
            pipeline
            | beam.Create([0, 1])
            | beam.Map(lambda n: TimestampedValue(batches[n], 7 + n)).with_output_types(
                pa.RecordBatch
            )
            | Infer(contract, FlakyEndpoint({20.0, 23.0}))
        )
        stamped = outputs.readings | beam.ParDo(Stamp())
        assert_that(stamped, equal_to([(7_000_000, 5, 2), (8_000_000, 4, 2)]), "readings")
        letters = outputs.dead_letters | beam.FlatMap(lambda b: b.column("position").to_pylist())
        positions = ["000000000", "000000003", "000000100", "000000103"]
        assert_that(letters, equal_to(positions), "dead letters")
    counted = {
        found.key.metric.name: found.committed
        for found in pipeline.result.metrics().query()["counters"]
        if found.key.metric.namespace == "eddyline"
    }
    assert counted["endpoint_scores"] == 5
    assert counted["endpoint_failures"] == counted["endpoint_bad_score"] == 4


def test_the_graph_of_a_job_is_the_same_at_each_start(contract):
    def identifier(bad):
        with beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
            batches = pipeline | beam.Create([], reshuffle=False)
            batches.element_type = pa.RecordBatch
            batches | Infer(contract, FlakyEndpoint(bad))
            steps = pipeline.to_runner_api().components.transforms.values()
        return [s.annotations["model_identifier"] for s in steps if s.annotations]

    assert identifier({1.0}) == identifier({1.0}) != identifier({2.0})
