"""Each sign of a channel, as a step of its own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.detectors.density import channel_features as f
from eddyline.detectors.density.heads import (
    DRIFT_THRESHOLD,
    heads_scale,
    last_hour,
    level_head,
    noise_head,
)
from eddyline.detectors.density.own_scale import crowd, learn_habit, take_off
from eddyline.detectors.density.pace import learn_cadence, pace_of
from eddyline.detectors.density.season import (
    HOUR,
    expected_at,
    hour_of_day,
    season,
    surprise_at_hour,
)

SLOW = pace_of(300e6, 1e6, True)
"""A reading every five minutes."""
FINITE = st.floats(-1e30, 1e30)


def run_level(values):
    mean = spread = hold = 0.0
    scores = []
    for n, value in enumerate(values):
        z, mean, spread, hold = f.level(value, mean, spread, hold, float(n), 1e-3, 4000.0)
        scores.append(z)
    return np.array(scores), mean, hold


def run_innovation(values):
    reference = spread = skipped = 0.0
    scores, frozen = [], []
    for n, value in enumerate(values):
        z, reference, spread, skipped = f.innovation(
            value, reference, spread, skipped, 9.0, float(n), 1e-3, 4000.0
        )
        scores.append(z)
        frozen.append(skipped)
    return np.array(scores), frozen, reference


@given(st.lists(FINITE, min_size=1, max_size=40))
def test_the_quantum_is_the_smallest_step_at_first_and_never_negative(changes):
    step = 0.0
    for change in changes:
        step = f.quantum(change, step)
        assert 0.0 <= step <= max(abs(change), 1.01 * step)
    assert (step == 0.0) == (not any(changes))


@given(FINITE, st.tuples(FINITE, FINITE))
def test_a_place_is_always_within_the_forests_limits(value, ends):
    for place in f.place(value, min(ends), max(ends)):
        assert 0.0 <= place <= 1.0


@given(st.floats(-1e30, 1e30), st.floats(0.1, 10.0))
def test_squashing_keeps_order_and_limits(z, width):
    assert 0.0 <= f.squash(z, width) <= 1.0
    assert f.squash(z, width) <= f.squash(z + abs(z) + 1.0, width)


def test_the_level_is_learned_as_a_mean_and_a_deviation():
    rng = np.random.default_rng(0)
    scores, mean, _ = run_level(rng.normal(5.0, 2.0, 3000))
    assert abs(mean - 5.0) < 0.2
    assert 0.9 < scores[500:].std() < 1.1


def test_a_fault_moves_the_level_little_and_a_regime_that_stays_is_accepted():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 4000), rng.normal(50, 1, 12000)])
    scores, mean, _ = run_level(values)
    assert scores[4000:4300].min() > 10
    assert abs(mean - 50.0) < 3.0
    assert abs(scores[-500:]).mean() < 3.0


def test_no_innovation_of_a_burst_is_learned():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 1000)
    values[500:520] += 200
    scores, frozen, reference = run_innovation(values)
    assert scores[500:510].min() > 12
    assert frozen[519] == 20
    assert frozen[520] == 0
    assert abs(reference) < 5


def test_a_frozen_reference_lets_go_where_the_level_says_the_value_is_usual():
    z, reference, _, skipped = f.innovation(100.0, 0.0, 1.0, 3.0, 0.1, 500.0, 1e-3, 4000.0)
    assert z > 12
    assert (reference, skipped) == (100.0, 0.0)
    assert f.innovation(100.0, 0.0, 1.0, 2.0, 0.1, 500.0, 1e-3, 4000.0)[3] == 3.0


def test_volatility_rises_with_the_steps():
    slow = fast = 0.0
    rng = np.random.default_rng(0)
    ratios = []
    for n, change in enumerate(np.concatenate([rng.normal(0, 1, 500), rng.normal(0, 8, 30)])):
        ratio, slow, fast = f.volatility(change, slow, fast, float(n), 1e-3, 4000.0)
        ratios.append(ratio)
    assert 0.5 < np.mean(ratios[100:500]) < 1.5
    assert ratios[-1] > 3


def test_stuck_counts_only_where_the_channel_usually_moves():
    def after(run, same, step):
        return f.stuck(0.0, step, float(run), 5.0, same, 1000.0, 4000.0)[0]

    assert after(50, 0.1, 0.5) > 40
    assert after(50, 0.99, 0.5) < 1
    assert after(50, 0.1, 0.0) == 0.0
    assert f.stuck(0.5, 0.5, 50.0, 5.0, 0.1, 1000.0, 4000.0)[:2] == (0.0, 0.0)


def test_a_run_alarms_when_it_is_unlikely_and_twice_as_long_as_any_before():
    def head(run, longest, same):
        return f.stuck(0.0, 0.5, float(run), longest, same, 1000.0, 4000.0)[1]

    assert head(40, 15.0, 0.3) > 1.0
    assert head(40, 30.0, 0.3) < 1.0
    assert head(40, 15.0, 0.9) < 1.0
    assert head(10, 1.0, 0.01) < 1.0


def test_the_longest_run_is_learned_when_it_ends():
    run = longest = same = 0.0
    for n, change in enumerate([1.0, *[0.0] * 30, 1.0, *[0.0] * 10, 1.0]):
        _, _, run, longest, same = f.stuck(change, 0.5, run, longest, same, float(n), 4000.0)
        assert longest == (30.0 if n >= 31 else 0.0)


def test_an_innovation_counts_where_readings_follow_each_other_and_the_level_where_not():
    assert f.structure(0.01, 1.0) == pytest.approx((0.99, 0.0))
    assert f.structure(1.3, 1.0) == (0.0, 1.0)
    weights = [f.structure(r, 1.0) for r in np.linspace(0.0, 2.0, 50)]
    assert all(0.0 <= w <= 1.0 for pair in weights for w in pair)
    assert [w for w, _ in weights] == sorted((w for w, _ in weights), reverse=True)
    assert [w for _, w in weights] == sorted(w for _, w in weights)


def test_the_hour_is_of_the_utc_day_for_any_year():
    for year in (-8000, 0, 34, 7000):
        assert hour_of_day(year * 365 * 24 * HOUR + 5 * HOUR) == 5.0


def test_the_season_expects_what_the_hour_had_and_says_so_between_bins():
    means, counts = np.zeros(24, np.float32), np.zeros(24, np.uint8)
    spread = 0.0
    for n in range(24 * 10 * 4):
        hour = (n / 4) % 24
        expected = expected_at(hour, means, counts)
        z, spread = season(
            10 * math.sin(hour * math.pi / 12), hour, expected, means, counts, spread, n, 1e-3, SLOW
        )
        if n < 24 * 4:
            assert z == 0.0 or hour >= 1.0
    assert abs(expected_at(6.0, means, counts) - 10.0) < 0.5
    assert abs(expected_at(9.0, means, counts) - 7.07) < 0.5
    assert season(-10.0, 6.0, 10.0, means, counts, spread, n, 1e-3, SLOW)[0] < -10


def test_the_noise_head_hears_a_doubled_noise_and_the_level_head_a_shift():
    rng = np.random.default_rng(0)
    means, counts = np.zeros(6, np.float32), np.zeros(6, np.uint16)
    fast = slow = spread = 0.0
    loud = []
    for n in range(3200):
        change = rng.normal(0, 4.0 if n >= 3000 else 1.0)
        z, fast, slow, spread = noise_head(
            change, 1e-3, fast, slow, spread, n // 48 % 6, means, counts, float(n), 4000.0
        )
        loud.append(z)
    assert max(loud[500:3000]) < 1.1 < max(loud[3000:])
    fast = slow = spread = 0.0
    away = []
    for n in range(3200):
        z, fast, slow, spread = level_head(
            rng.normal(3.0 if n >= 3000 else 0.0), fast, slow, spread, float(n), SLOW
        )
        away.append(z)
    assert max(away[500:3000]) < 1.5 < max(away[3000:])


def test_heads_are_milder_the_more_channels_there_are():
    assert [heads_scale(n) for n in (1, 3)] == [1.0, 1.0]
    assert 1.0 < heads_scale(6) < heads_scale(8) < heads_scale(40) < 3.0


def test_a_drift_is_far_from_the_last_hour_and_a_slow_day_is_not():
    rng = np.random.default_rng(0)
    minutes = np.arange(6000)
    values = 10 * np.sin(minutes * np.pi / 2000) + rng.normal(0, 0.3, 6000)
    values[5000:5200] += np.linspace(0, 30, 200)
    mean = spread = fast = slow = deviation = 0.0
    heads = []
    for n, value in enumerate(values):
        z, mean, spread = last_hour(value, mean, spread, float(n), 0.05, SLOW)
        head, fast, slow, deviation = level_head(z, fast, slow, deviation, float(n), SLOW)
        heads.append(head)
    assert max(heads[1000:5000]) < DRIFT_THRESHOLD < max(heads[5000:5200])


def test_a_bin_of_the_day_remembers_five_days_at_any_cadence():
    for cadence in (300e6, 60e6, 10e6):
        pace = pace_of(cadence, 1e6, True)
        means, counts = np.zeros(24, np.float32), np.zeros(24, np.uint8)
        a_day = int(3600e6 / cadence)
        for n in range(20 * a_day):
            expected = expected_at(5.5, means, counts)
            value = 0.0 if n < 19 * a_day else 1.0
            season(value, 5.5, expected, means, counts, 1.0, float(n), 1e-3, pace)
            counts[4] = counts[6] = 60
        assert 0.1 < means[5] < 0.25


def test_a_usual_hour_is_no_surprise_and_a_single_day_is_believed_in_part():
    assert surprise_at_hour(9.0, -0.5, 20.0, True) == 0.5
    assert surprise_at_hour(9.0, 20.0, 20.0, True) == 9.0
    assert surprise_at_hour(8.0, 0.5, 20.0, False) == 2.0
    assert surprise_at_hour(-8.0, 0.5, math.nan, True) == 8.0


def test_the_cadence_follows_the_median_whatever_the_gaps():
    rng = np.random.default_rng(0)
    cadence = 0.0
    for n in range(2000):
        gap = 10e6 * rng.uniform(0.7, 1.3)
        if n in (1, 2, 3) or rng.random() < 0.2:
            gap *= rng.choice([100.0, 1e7])
        cadence = learn_cadence(cadence, gap, float(n))
    assert 8e6 < cadence < 14e6
    assert learn_cadence(cadence, 0.0, 10.0) == cadence


def test_a_fast_device_remembers_two_days_and_a_young_one_is_patient():
    assert pace_of(0.0, 1e6, True) == (1.0, 4000.0, 1.0, True)
    assert pace_of(3600e6, 1e6, True)[:3] == (1.0, 4000.0, 1.0)
    assert pace_of(1e6, 1e6, True).memory == 2 * 86_400
    assert pace_of(10e6, 0.0, False).patience > pace_of(10e6, 5000.0, False).patience > 1.0


def test_a_channel_that_is_often_odd_is_believed_less_and_a_long_fault_counts_once():
    def habit_after(bits):
        habit, quiet = 0.0, 0.0
        for n, one in enumerate(bits):
            habit, quiet = learn_habit(one, habit, quiet, float(n), 4000.0)
        return habit

    often = [9.0 if n % 100 == 99 else 1.0 for n in range(3000)]
    long = [9.0 if n >= 1000 else 1.0 for n in range(3000)]
    assert habit_after(often) > 20
    assert habit_after(long) < 1.0
    assert take_off(8.0, 31.0, 1.0) == 5.5
    assert take_off(8.0, 31.0, 0.0) == 8.0
    assert take_off(1.0, 31.0, 1.0) == 0.0
    assert [crowd(n) for n in (1, 3, 4, 5, 40)] == [0.0, 0.0, 0.5, 1.0, 1.0]
