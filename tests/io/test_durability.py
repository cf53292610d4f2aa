"""Which engines are known to make a bundle durable with a checkpoint."""

import pytest

from eddyline.io.durability import durability_of


@pytest.mark.parametrize("runner", ["FlinkRunner", "flink", "apache_beam.FlinkRunner"])
def test_flink_under_any_of_its_names(runner):
    assert durability_of(runner) == "checkpoint"


@pytest.mark.parametrize("runner", [None, "DirectRunner", "PrismRunner", "DataflowRunner"])
def test_elsewhere_a_bundle_is_the_unit(runner):
    assert durability_of(runner) == "bundle"


def test_a_runner_that_may_be_any_engine_is_refused():
    with pytest.raises(ValueError, match="--runner=PortableRunner: name the engine"):
        durability_of("PortableRunner")
