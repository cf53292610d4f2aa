import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.transforms.devices.admission import (
    NEVER,
    Admission,
    Outcome,
    admit,
    grown,
    new_admission,
    recent_ids,
    remember_ids,
)

WAITING, LATE, DUPLICATE = Outcome.WAITING, Outcome.LATE, Outcome.DUPLICATE
# (device, event time, reading id)
READINGS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 9)), max_size=60
)


def admitted(readings, admission, disorder=10, kernel=admit):
    columns = np.array(readings, np.int64).reshape(-1, 3).T.copy()
    outcome = np.zeros(len(readings), np.uint8)
    kernel(columns[0].astype(np.int32), columns[1], columns[2], disorder, *admission, outcome)
    return [Outcome(o) for o in outcome]


def ids_of(admission, row):
    ids, number = recent_ids(admission)
    ends = np.cumsum(number)
    return ids[ends[row] - number[row] : ends[row]].tolist()


@given(READINGS, st.integers(0, 12), st.integers(1, 5))
def test_the_compiled_kernel_and_its_source_agree(readings, disorder, remember):
    compiled, plain = new_admission(3, remember), new_admission(3, remember)
    assert admitted(readings, compiled, disorder) == admitted(
        readings, plain, disorder, admit.py_func
    )
    for one, other in zip(compiled, plain, strict=True):
        assert one.tobytes() == other.tobytes()


@given(READINGS, st.integers(0, 12), st.integers(1, 5), st.integers(0, 60))
def test_admission_keeps_to_its_words(readings, disorder, remember, cut):
    """Against a plain model of the docstring, in one call and in two."""
    expected, history = [], {0: [], 1: [], 2: []}
    for device, time, identity in readings:
        before = history[device]
        if identity in [i for _, i in before[-remember:]]:
            expected.append(DUPLICATE)
            continue
        frontier = max((t for t, _ in before), default=NEVER) - disorder
        expected.append(LATE if time < frontier else WAITING)
        before.append((time, identity))
    whole, halves = new_admission(3, remember), new_admission(3, remember)
    assert admitted(readings, whole, disorder) == expected
    assert (
        admitted(readings[:cut], halves, disorder) + admitted(readings[cut:], halves, disorder)
        == expected
    )
    for device, before in history.items():
        assert ids_of(whole, device) == [i for _, i in before[-remember:]]
        assert whole.admitted[device] == len(before)


def test_a_copy_is_known_while_fewer_than_remember_others_came():
    admission = new_admission(1, 3)
    readings = [(0, 1, 7), (0, 2, 8), (0, 3, 9), (0, 1, 7), (0, 4, 10), (0, 1, 7)]
    assert admitted(readings, admission, 99)[3:] == [DUPLICATE, WAITING, WAITING]


def test_a_copy_of_a_late_reading_is_a_duplicate():
    assert admitted([(0, 50, 1), (0, 3, 2), (0, 3, 2)], new_admission(1, 3)) == [
        WAITING,
        LATE,
        DUPLICATE,
    ]


def test_the_id_zero_is_an_id_like_any_other():
    admission = new_admission(1, 4)
    assert admitted([(0, 5, 0), (0, 5, 0)], admission) == [WAITING, DUPLICATE]


def test_devices_do_not_touch_each_other():
    admission = new_admission(2, 4)
    assert admitted([(0, 99, 1), (1, 5, 1), (1, 6, 2)], admission) == [WAITING] * 3
    assert admission.frontier.tolist() == [89, -4]


def test_event_times_far_from_the_epoch_do_not_overflow():
    admission = new_admission(1, 4)
    readings = [(0, -(2**62), 1), (0, 2**62, 2), (0, 2**62 - 11, 3)]
    assert admitted(readings, admission) == [WAITING, WAITING, LATE]


def test_a_grown_admission_keeps_what_it_knew_and_knows_nothing_of_the_new_ones():
    before = new_admission(1, 2)
    admitted([(0, 5, 1), (0, 6, 2), (0, 7, 3)], before)
    after = grown(before, 3)
    assert [len(array) for array in after] == [3, 3, 3, 3]
    assert ids_of(after, 0) == [2, 3]
    assert admitted([(0, 7, 3), (1, 7, 3), (2, 0, 0)], after) == [DUPLICATE, WAITING, WAITING]


@given(
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9), max_size=4),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_remembered_ids_survive_in_their_order_and_go_on_as_a_ring(given_ids, before, after):
    first = new_admission(len(given_ids), before)
    number = np.array([len(ids) for ids in given_ids], np.int64)
    remember_ids(first, np.array([i for ids in given_ids for i in ids], np.int64), number)
    second = new_admission(len(given_ids), after)
    remember_ids(second, *recent_ids(first))
    for device, ids in enumerate(given_ids):
        kept = ids[-before:][-after:]
        assert ids_of(second, device) == kept
        fresh = next(i for i in range(20) if i not in kept)
        assert admitted([(device, 0, fresh)], second) == [WAITING]
        assert ids_of(second, device) == [*kept, fresh][-after:]


def test_a_new_admission_has_seen_nothing():
    admission = new_admission(2, 3)
    assert isinstance(admission, Admission)
    assert recent_ids(admission)[0].tolist() == []
    assert admission.last_seen.tolist() == admission.frontier.tolist() == [NEVER, NEVER]


@pytest.mark.parametrize("remember", [1, 64])
def test_as_many_as_are_remembered_are_remembered(remember):
    admission = new_admission(1, remember)
    admitted([(0, 0, i) for i in range(3 * remember)], admission)
    assert ids_of(admission, 0) == list(range(2 * remember, 3 * remember))


@given(READINGS, READINGS, st.integers(1, 5))
def test_the_newest_ids_of_some_devices_bring_another_memory_up_to_them(first, more, remember):
    ahead, behind = new_admission(3, remember), new_admission(3, remember)
    admitted(first, ahead)
    remember_ids(behind, *recent_ids(ahead))
    before = ahead.admitted.copy()
    admitted(more, ahead)
    rows = np.flatnonzero(ahead.admitted > before)[::-1]
    ids, number = recent_ids(ahead, rows, (ahead.admitted - before)[rows])
    assert len(ids) <= len(more)
    remember_ids(behind, ids, number, rows)
    for device in range(3):
        assert ids_of(behind, device) == ids_of(ahead, device)
