"""Leaves, masses, the two scores and the alarms they raise."""

import math

import numpy as np
import pytest

from eddyline.detectors.density.alarm import alarm_state, persistence, state_signs
from eddyline.detectors.density.condition import condition, gate
from eddyline.detectors.density.event import event_alarm
from eddyline.detectors.density.leaves import find, lay_out
from eddyline.detectors.density.mass import FULL, learn, surprise
from eddyline.detectors.density.signs import Alarm
from eddyline.detectors.forest import build_forest, find_leaf


def build(features, height=6):
    names = tuple(f"{n:03d}" for n in range(features))
    return build_forest(names, ((0.0, 1.0),) * features, n_trees=10, height=height, seed=42)


@pytest.mark.parametrize(("features", "height"), [(2, 6), (6, 6), (6, 3), (80, 6)])
def test_masks_find_the_leaf_that_a_walk_finds_also_on_a_threshold(features, height):
    forest = build(features, height)
    layout = lay_out(forest, features)
    rng = np.random.default_rng(features)
    mask, leaves = np.zeros(10, np.uint64), np.zeros(10, np.uint8)
    ends = np.append(forest.threshold[:, 1:].ravel(), [0.0, 1.0])
    for number in range(500):
        point = rng.choice(ends, features) if number % 2 else rng.random(features)
        find(point, *layout, mask, leaves)
        walked = [find_leaf(forest.feature, forest.threshold, t, height, point) for t in range(10)]
        assert leaves.tolist() == [int(leaf) for leaf in walked]


def test_a_tree_of_more_than_64_leaves_is_refused():
    with pytest.raises(ValueError, match="at most 64 leaves, not 128"):
        lay_out(build(2, height=7), 2)


def test_surprise_is_the_mean_of_the_leaves_logarithms():
    rng = np.random.default_rng(0)
    masses = rng.integers(0, 500, (40, 64)).astype(np.uint16)
    leaves = rng.integers(0, 64, 40).astype(np.uint8)
    expected = (
        math.log2(9000.25)
        - 6
        - np.mean(np.log2(masses[np.arange(40), leaves].astype(float) + 0.25))
    )
    assert surprise(masses, 9000.0, leaves) == pytest.approx(expected, abs=1e-12)
    assert surprise(masses, 0.0, leaves) == 0.0


def test_an_even_spread_has_no_surprise_and_masses_never_overflow():
    masses = np.zeros((10, 64), np.uint16)
    rng = np.random.default_rng(0)
    learned = 0.0
    bits = []
    for _ in range(3 * FULL):
        leaves = rng.integers(0, 64, 10).astype(np.uint8)
        bits.append(surprise(masses, learned, leaves))
        learned = learn(masses, learned, leaves)
    assert abs(np.mean(bits[-1000:])) < 0.02
    assert learned < FULL
    leaves = np.zeros(10, np.uint8)
    for _ in range(20 * FULL):
        learned = learn(masses, learned, leaves)
    assert masses.max() < FULL


def test_two_bits_cannot_be_reached_before_64_readings():
    masses = np.zeros((10, 64), np.uint16)
    empty = np.zeros(10, np.uint8)
    assert surprise(masses, 63.0, empty) < 2.0 <= surprise(masses, 64.0, empty)


def test_an_event_alarms_once_for_a_burst_and_less_for_a_habit():
    peak, age, since, habit = -math.inf, 0.0, 60000.0, 0.0
    alarms = []
    for n in range(20_000):
        bits = 3.2 if n % 400 < 30 else 0.0
        new, peak, age, since, habit = event_alarm(
            bits, peak, age, since, habit, int(age) * 600_000_000, 2.0
        )
        alarms.append(new)
    assert alarms[0]
    assert not any(alarms[1:400])
    told = [any(alarms[first : first + 400]) for first in range(0, 20_000, 400)]
    assert told[:3] == [True, True, True]
    assert not any(told[10:])


def test_a_record_falls_after_readings_and_hours_not_after_one_of_them():
    def alarm(age, hours):
        return event_alarm(4.0, 4.0, age, 0.0, 0.0, hours * 3_600_000_000, 2.0)[0]

    assert alarm(200.0, 4)
    assert not alarm(200.0, 2)
    assert not alarm(50.0, 4)


def test_the_condition_grows_with_each_sign():
    base = condition(1.0, 1.0, 1.0, 1.0)
    for changed in ((2.0, 1, 1, 1), (1, 2.0, 1, 1), (1, 1, 2.0, 1), (1, 1, 1, 2.0)):
        assert condition(*map(float, changed)) > base


def test_another_threshold_makes_all_signs_of_a_condition_stricter():
    given = (13.0, 25.0, 1.2, 1.2, 1.2)
    assert state_signs(*given, 9.0, 20.0, 1.0) == 62
    assert state_signs(*given, 13.5, 20.0, 1.5) == 0
    assert not alarm_state(False, 0.0, 13.0, 25.0, 1.2, 13.5, 20.0, 1.5)[0]
    assert alarm_state(False, 0.0, 13.0, 25.0, 1.6, 13.5, 20.0, 1.5)[0]


def test_the_gate_lets_every_fiftieth_suspicious_reading_through_and_then_gives_in():
    held, taught = 0.0, []
    for _ in range(2100):
        teaches, held = gate(True, held, 500.0, 4000.0)
        taught.append(teaches)
    assert sum(taught[:2000]) == 40
    assert all(taught[2000:])
    assert gate(False, held, 500.0, 4000.0) == (True, 0.0)
    assert gate(True, 5.0, 50.0, 4000.0) == (True, 0.0)


def add(score, usual, total, seen=1000.0, shift=-1, means=None, counts=None):
    means = np.zeros(6, np.float32) if means is None else means
    counts = np.zeros(6, np.uint16) if counts is None else counts
    return persistence(score, usual, shift, means, counts, total, seen, 20.0, 4000.0)


def test_persistence_sums_what_is_low_and_long_and_never_one_peak():
    assert add(40.0, 0.0, 0.0)[0] == 5.0
    total, usual = 0.0, 0.0
    for _ in range(12):
        total, usual = add(5.0, usual, total)
    assert total > 20.0
    for _ in range(100):
        total, usual = add(0.0, usual, total)
    assert total == 0.0
    assert add(40.0, 0.0, 0.0, seen=1.0) == (0.0, 1.5)


def test_persistence_takes_no_offence_at_what_these_hours_always_have():
    means, counts = np.zeros(6, np.float32), np.zeros(6, np.uint16)
    total, usual, peaks = 0.0, 0.0, []
    for n in range(288 * 20):
        shift = n // 48 % 6
        score = 6.0 if shift == 2 else 0.0
        total, usual = add(score, usual, total, float(n), shift, means, counts)
        peaks.append(total)
    assert max(peaks[: 288 * 2]) > 20.0
    assert max(peaks[-288 * 2 :]) < 20.0


def test_a_state_of_alarm_ends_after_ten_calm_readings_in_a_row():
    on, calm = alarm_state(False, 0.0, 9.0, 0.0, 0.0, 9.0, 20.0, 1.0)
    assert on
    for _ in range(9):
        on, calm = alarm_state(on, calm, 6.0, 0.0, 0.0, 9.0, 20.0, 1.0)
        assert on
    assert alarm_state(on, calm, 8.0, 0.0, 0.0, 9.0, 20.0, 1.0) == (True, 0.0)
    assert not alarm_state(on, calm, 6.0, 0.0, 0.0, 9.0, 20.0, 1.0)[0]
    assert not alarm_state(False, 0.0, 8.9, 19.0, 0.9, 9.0, 20.0, 1.0)[0]


@pytest.mark.parametrize(
    ("given", "signs"),
    [
        ((9.0, 0.0, 0.0, 0.0, 0.0), Alarm.CONDITION),
        ((8.0, 20.0, 0.0, 0.0, 0.0), Alarm.PERSISTENCE),
        ((8.0, 0.0, 1.0, 0.0, 0.0), Alarm.NOISE),
        ((8.0, 0.0, 0.9, 1.0, 0.0), Alarm.LEVEL),
        ((8.0, 0.0, 0.9, 0.9, 1.0), Alarm.STUCK),
        ((8.0, 19.0, 0.9, 0.9, 0.9), 0),
    ],
)
def test_the_signs_name_what_fired(given, signs):
    assert state_signs(*given, 9.0, 20.0, 1.0) == signs
