"""Cadence: what is learned from gaps, and when a device is silent by it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.incidents import cadence as module
from eddyline.transforms.incidents.cadence import (
    NOT_DUE,
    grown,
    held_up,
    learn_gaps,
    new_cadence,
    silent_from,
    usual_gap,
)

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
THREE, MINUTE = np.array([3.0]), np.array([60.0 * SECOND])


def times(gaps):
    return T0 + (np.cumsum([0.0, *gaps]) * SECOND).astype(np.int64)


def learned(gaps, cadence=None, factor=THREE, minimum=MINUTE):
    """The cadence, and the places of the gaps that were silences."""
    cadence = cadence or new_cadence(1)
    at = times(gaps)
    found = learn_gaps(cadence, np.zeros(len(at), np.int32), at, factor, minimum)
    return cadence, [place - 1 for place in np.flatnonzero(found.due < NOT_DUE).tolist()]


def limit(cadence):
    due = silent_from(cadence, THREE, MINUTE)[0]
    return None if due == NOT_DUE else (due - cadence.last[0]) / SECOND


def test_a_steady_device_is_silent_after_three_of_its_gaps():
    cadence, silences = learned([300] * 30)
    assert (limit(cadence), silences) == (900.0, [])
    assert usual_gap(cadence, 0) == 300 * SECOND


def test_a_fast_device_is_silent_after_the_minimum():
    assert limit(learned([1] * 700)[0]) == 60.0


@pytest.mark.parametrize("gaps", [[100] * 9, [1] * 599, [600], []])
def test_nothing_is_known_before_ten_gaps_and_ten_minutes(gaps):
    assert limit(learned(gaps)[0]) is None
    assert learned([*gaps, 999_999])[1] == []


@pytest.mark.parametrize("number", [10, 30])
def test_bursts_of_readings_once_an_hour_make_an_hour(number):
    burst = [0.1] * (number - 1) + [3600 - 0.1 * (number - 1)]
    cadence, silences = learned(burst * 100)
    assert silences == []
    assert 3 * 3000 < limit(cadence) < 3 * 3601
    assert 3000 < usual_gap(cadence, 0) / SECOND < 3601


def test_an_outage_is_told_and_does_not_teach_that_outages_are_usual():
    cadence, silences = learned([10] * 200 + [7200] + [10] * 5)
    assert silences == [200]
    assert limit(cadence) < 75
    _, silences = learned([10] * 200 + [7200] + [10] * 200 + [75])
    assert silences == [200, 401]


def test_messages_that_are_lost_now_and_then_are_no_silence():
    random = np.random.default_rng(3)
    gaps = 60.0 * random.geometric(0.97, 5000)
    cadence, silences = learned(gaps.tolist())
    assert len(silences) <= 3
    assert 55 < usual_gap(cadence, 0) / SECOND < 75


def test_a_device_that_has_become_slower_for_good_is_accepted_after_a_few():
    cadence, silences = learned([60] * 100 + [600] * 60)
    assert silences == [100, 101, 102]
    assert 0.9 * 1800 < limit(cadence) <= 1800


def test_a_device_that_has_become_faster_is_missed_sooner_in_time():
    slow = limit(learned([600] * 60)[0])
    fast = limit(learned([600] * 60 + [60] * 1000)[0])
    assert slow == 1800
    assert fast < 200


def test_a_policy_changes_what_is_silent_and_nothing_that_is_learned():
    gaps = [60] * 50 + [1000, 60, 60, 400]
    normal, silences = learned(gaps)
    never, none = learned(gaps, minimum=np.array([np.inf]))
    assert (silences, none) == ([50, 53], [])
    for one, other in zip(normal, never, strict=True):
        assert one.tolist() == other.tolist()


def test_a_device_whose_readings_were_held_up_is_waited_for_as_long():
    cadence, _ = learned([60] * 50)
    held_up(cadence, 0, 600 * SECOND)
    assert limit(cadence) == 180 + 600
    learned([60] * 3000, cadence)
    assert limit(cadence) < 180 + 60


def test_readings_of_one_time_teach_no_gap():
    cadence, silences = learned([60, 0, 0] * 20)
    assert (cadence.gaps[0], silences) == (20, [])
    assert limit(cadence) == 180.0


GAPS = st.lists(st.sampled_from((0.0, 0.000001, 1.0, 59.0, 61.5, 700.0, 90_000.0)), max_size=60)


@settings(max_examples=60)
@given(st.lists(GAPS, min_size=1, max_size=3), st.booleans())
def test_a_gap_is_a_silence_exactly_when_it_was_due_before(devices, compiled):
    """Seen by the next reading or by the time that passes: the same moment. Any split agrees."""
    whole, parts = new_cadence(len(devices)), new_cadence(1)
    parts = grown(parts, len(devices))
    factor = np.full(len(devices), 3.0)
    minimum = np.full(len(devices), 60.0 * SECOND)
    all_rows = sorted(
        (int(at), d) for d, gaps in enumerate(devices) for at in times([0.0] * 11 + gaps)
    )
    device = np.array([d for _, d in all_rows], np.int32)
    at = np.array([t for t, _ in all_rows], np.int64)
    found = learn_gaps(whole, device, at, factor, minimum)
    due = []
    for row in range(len(at)):
        d = device[row]
        expected = silent_from(parts, factor, minimum)[d]
        due.append(int(expected) if at[row] >= expected and at[row] > parts.last[d] else NOT_DUE)
        learn_gaps(parts, device[row : row + 1], at[row : row + 1], factor, minimum)
    assert found.due.tolist() == due
    for one, other in zip(whole, parts, strict=True):
        assert one.tolist() == other.tolist()
    if compiled:
        again = new_cadence(len(devices))
        rest = [np.full(len(at), NOT_DUE), np.zeros(len(at), np.int64), np.zeros(len(at))]
        module._learn.py_func(device, at, factor, minimum, *again, *rest)
        assert rest[0].tolist() == due
        for one, other in zip(whole, again, strict=True):
            assert one.tolist() == other.tolist()
