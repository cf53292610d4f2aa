import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.fleet.waiting import Waiting

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=4),
        st.tuples(*[st.integers(0, 40)] * 3),
        st.booleans(),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def new_waiting(readings):
    return lambda: Waiting(readings([]).schema)


def identities(batch):
    return batch.column("reading_id").to_pylist()


def test_readings_are_released_by_device_in_the_order_of_time_and_id(new_waiting, readings):
    waiting = new_waiting()
    rows = [("a", 9, 3), ("b", 2, 2), ("a", 4, 7), ("a", 4, 5), ("b", 30, 1)]
    waiting.add(readings(rows), np.array([0, 1, 0, 0, 1], np.int32))
    released, device = waiting.release(np.array([T0 + 10 * SECOND, T0 + 3 * SECOND]))
    assert identities(released) == [2, 5, 7, 3]
    assert device.tolist() == [1, 0, 0, 0]
    assert identities(waiting.readings) == [1]
    assert (len(waiting), waiting.device.tolist()) == (1, [1])
    assert waiting.release(np.full(2, T0))[0].num_rows == 0


@settings(max_examples=60)
@given(STEPS)
def test_what_waited_without_what_has_gone_and_with_what_has_come_is_what_waits(
    new_waiting, readings, steps
):
    waiting, told, number = new_waiting(), [], 0
    for rows, until, settle in steps:
        made = [(f"d{d}", time, number + n) for n, (d, time) in enumerate(rows)]
        number += len(made)
        waiting.add(readings(made), np.array([d for d, _ in rows], np.int32))
        waiting.release(T0 + np.array(until) * SECOND)
        gone, come = waiting.changed()
        now = [i for at, i in enumerate(told) if at not in gone.tolist()] + identities(come)
        assert now == identities(waiting.readings)
        if settle:
            waiting.settle()
            told = now
