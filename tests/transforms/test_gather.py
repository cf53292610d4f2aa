"""Gather: each message in one batch, in order, none waits for a later bundle."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

import eddyline.transforms.gather as module
from eddyline.schemas.message import Message, messages_of
from eddyline.transforms.gather import Gather, GatherBundle

MESSAGES = st.lists(st.tuples(st.binary(max_size=30), st.integers(0, 10**6)), max_size=30)


def message(number, payload=b"{}"):
    return Message(payload, "source", f"{number:06d}", number, {"n": str(number)})


def bundles(rows, *bundles):
    """What comes out of the `DoFn` for bundles of (message, micros), in its order."""
    gather = GatherBundle(rows)
    out = []
    for bundle in bundles:
        gather.start_bundle()
        for element, micros in bundle:
            out += [
                (o.value, o.timestamp) for o in gather.process(element, Timestamp(micros=micros))
            ]
        out += [(o.value, o.timestamp) for o in gather.finish_bundle()]
    return out


@given(st.lists(MESSAGES, max_size=3), st.integers(1, 10), st.integers(1, 100))
def test_every_message_leaves_once_in_order_at_the_earliest_time(drawn, rows, limit):
    numbered = iter(range(1000))
    given_bundles = [[(message(next(numbered), p), t) for p, t in bundle] for bundle in drawn]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_BYTES", limit)
        out = bundles(rows, *given_bundles)
    sent = [pair for bundle in given_bundles for pair in bundle]
    assert [m for batch, _ in out for m in messages_of(batch)] == [m for m, _ in sent]
    times = iter(micros for _, micros in sent)
    for batch, timestamp in out:
        assert timestamp.micros == min(next(times) for _ in range(batch.num_rows))
        assert 1 <= batch.num_rows <= rows
        payloads = batch.column("payload").to_pylist()
        assert sum(map(len, payloads[:-1])) < limit


@given(st.lists(st.integers(0, 12), max_size=4), st.integers(1, 5))
def test_a_bundle_gives_as_few_batches_as_its_rows_allow(sizes, rows):
    given_bundles = [[(message(n), n) for n in range(size)] for size in sizes]
    out = bundles(rows, *given_bundles)
    assert len(out) == sum(-(-size // rows) for size in sizes)


def test_large_payloads_fill_a_batch_before_its_rows_do():
    large = [(message(n, bytes(3 * 2**20)), n) for n in range(7)]
    assert [batch.num_rows for batch, _ in bundles(500, large)] == [3, 3, 1]


def test_one_message_beyond_all_bounds_is_a_batch():
    huge = [(message(0, bytes(10_000_000)), 0), (message(1), 1)]
    assert [batch.num_rows for batch, _ in bundles(500, huge)] == [1, 1]


def test_an_abandoned_bundle_leaves_nothing_to_the_next():
    gather = GatherBundle(10)
    gather.start_bundle()
    assert list(gather.process(message(1), Timestamp(1))) == []
    gather.start_bundle()
    assert list(gather.finish_bundle()) == []


def test_a_batch_has_at_least_one_row():
    with pytest.raises(ValueError, match="rows must be at least 1, not 0"):
        Gather(0)


@pytest.mark.job
def test_the_transform_gathers_what_a_bundle_holds():
    stamped = [TimestampedValue(message(n), Timestamp(micros=1000 + n)) for n in range(25)]

    def told(batch, timestamp=beam.DoFn.TimestampParam):
        rows = messages_of(batch)
        assert timestamp.micros == 1000 + min(row.arrival_time for row in rows)
        assert isinstance(batch, pa.RecordBatch)
        return [row.position for row in rows] + [len(rows) <= 10]

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        batches = pipeline | beam.Create(stamped) | beam.Map(lambda m: m) | Gather(10)
        positions = batches | beam.FlatMap(told) | beam.Filter(lambda told: told is not True)
        assert_that(positions, equal_to([f"{n:06d}" for n in range(25)]))
