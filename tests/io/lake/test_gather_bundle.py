"""A bounded run's files: each row once, whatever its bundles do."""

import pytest

from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.gather_bundle import GatherBundle


@pytest.fixture
def lake(tmp_path):
    return str(tmp_path / "lake")


def run_bundle(step, batches):
    """One bundle, as a runner drives it: what it emitted."""
    step.start_bundle()
    emitted = [record for batch in batches for record in step.process(batch)]
    return emitted + [windowed.value for windowed in step.finish_bundle()]


def rows_in(records):
    return sum(DataFile.decode(record).rows for _, record in records)


def test_every_row_of_a_bundle_is_in_one_emitted_file(lake, table, batches):
    step = GatherBundle(lake, table, flush_bytes=2_000)
    records = run_bundle(step, batches(range(400)))
    assert len(records) > 2
    assert rows_in(records) == 400
    assert {name for name, _ in records} == {table.name}


def test_a_repeated_bundle_never_writes_over_what_the_failed_one_left(lake, table, batches):
    step = GatherBundle(lake, table, flush_bytes=2_000)
    step.start_bundle()
    left = [record for batch in batches(range(200)) for record in step.process(batch)]
    assert left
    again = run_bundle(step, batches(range(200)))
    assert rows_in(again) == 200
    paths = {DataFile.decode(record).path for _, record in left}
    assert paths.isdisjoint(DataFile.decode(record).path for _, record in again)


def test_a_batch_that_does_not_fit_its_table_fails_before_anything_is_written(lake, table, batches):
    step = GatherBundle(lake, table, flush_bytes=1)
    step.start_bundle()
    batch = next(iter(batches(range(3))))
    with pytest.raises(ValueError, match="unknown columns"):
        list(step.process(batch.append_column("surprise", batch.column(0))))
