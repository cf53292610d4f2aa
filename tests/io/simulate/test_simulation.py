from dataclasses import FrozenInstanceError
from datetime import datetime

import pytest

from eddyline.io.simulate import Simulation


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("devices", 0),
        ("sites", 0),
        ("hours", 0.0),
        ("hours", float("nan")),
        ("cadence", -1.0),
        ("jitter", 4.5),
        ("jitter", -1.0),
        ("disorder", -0.1),
        ("seed", -1),
        ("duplicates", 0.5),
        ("late", -0.1),
        ("malformed", float("nan")),
        ("gathered", 2.0),
        ("missing", 1.0),
        ("faulty", 1.1),
        ("start", datetime(2026, 1, 5)),  # noqa: DTZ001
    ],
)
def test_a_value_without_sense_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError, match=field):
        Simulation(**{field: value})


def test_too_short_a_time_for_a_fault_is_refused_and_without_faults_it_is_not():
    with pytest.raises(ValueError, match="faulty"):
        Simulation(hours=1.5)
    assert Simulation(hours=1.5, faulty=0).hours == 1.5


def test_it_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Simulation().seed = 8


def test_a_concern_draws_the_same_again_and_another_concern_something_else():
    simulation = Simulation()
    first = simulation.generator("faults").random(4).tolist()
    assert simulation.generator("faults").random(4).tolist() == first
    assert simulation.generator("signals").random(4).tolist() != first
    assert Simulation(seed=8).generator("faults").random(4).tolist() != first
