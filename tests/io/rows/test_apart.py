"""Batches that go on in a stage of their own."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from eddyline.io.rows.apart import SetApart
from eddyline.transforms import coder  # noqa: F401 registers how batches cross to the engine


@pytest.mark.job
@pytest.mark.parametrize("shards", [1, 3])
def test_every_batch_is_handed_on_once_as_it_was(shards):
    batches = [
        pa.RecordBatch.from_pydict({"n": pa.array([n] * n, pa.int16()), "s": ["x"] * n})
        for n in range(1, 20)
    ]
    with beam.Pipeline(runner=FnApiRunner()) as job:
        made = job | beam.Create(batches, reshuffle=False)
        told = made | SetApart(shards) | beam.Map(lambda batch: batch.to_pydict())
        assert_that(told, equal_to([batch.to_pydict() for batch in batches]))


def test_less_than_one_part_is_refused():
    with pytest.raises(ValueError, match="shards"):
        SetApart(0)
