"""Each sign of a channel, as a step of its own."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eddyline.detectors.density import channel_features as f
from eddyline.detectors.density.heads import heads_scale, level_head, noise_head
from eddyline.detectors.density.season import HOUR, expected_at, hour_of_day, season

FINITE = st.floats(-1e30, 1e30)


def run_level(values):
    mean = spread = hold = 0.0
    scores = []
    for n, value in enumerate(values):
        z, mean, spread, hold = f.level(value, mean, spread, hold, float(n), 1e-3)
        scores.append(z)
    return np.array(scores), mean, hold


def run_innovation(values):
    reference = spread = skipped = 0.0
    scores, frozen = [], []
    for n, value in enumerate(values):
        z, reference, spread, skipped = f.innovation(
            value, reference, spread, skipped, 9.0, float(n), 1e-3
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
    z, reference, _, skipped = f.innovation(100.0, 0.0, 1.0, 3.0, 0.1, 500.0, 1e-3)
    assert z > 12
    assert (reference, skipped) == (100.0, 0.0)
    assert f.innovation(100.0, 0.0, 1.0, 2.0, 0.1, 500.0, 1e-3)[3] == 3.0


def test_volatility_rises_with_the_steps():
    slow = fast = 0.0
    rng = np.random.default_rng(0)
    ratios = []
    for n, change in enumerate(np.concatenate([rng.normal(0, 1, 500), rng.normal(0, 8, 30)])):
        ratio, slow, fast = f.volatility(change, slow, fast, float(n), 1e-3)
        ratios.append(ratio)
    assert 0.5 < np.mean(ratios[100:500]) < 1.5
    assert ratios[-1] > 3


def test_stuck_counts_only_where_the_channel_usually_moves():
    def after(run, same, step):
        return f.stuck(0.0, step, float(run), same, 1000.0)[0]

    assert after(50, 0.1, 0.5) > 40
    assert after(50, 0.99, 0.5) < 1
    assert after(50, 0.1, 0.0) == 0.0
    assert f.stuck(0.5, 0.5, 50.0, 0.1, 1000.0)[:2] == (0.0, 0.0)


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
            10 * math.sin(hour * math.pi / 12), hour, expected, means, counts, spread, n, 1e-3
        )
        if n < 24 * 4:
            assert z == 0.0 or hour >= 1.0
    assert abs(expected_at(6.0, means, counts) - 10.0) < 0.5
    assert abs(expected_at(9.0, means, counts) - 7.07) < 0.5
    assert season(-10.0, 6.0, 10.0, means, counts, spread, n, 1e-3)[0] < -10


def test_the_noise_head_hears_a_doubled_noise_and_the_level_head_a_shift():
    rng = np.random.default_rng(0)
    means, counts = np.zeros(6, np.float32), np.zeros(6, np.uint16)
    fast = slow = spread = 0.0
    loud = []
    for n in range(3200):
        change = rng.normal(0, 4.0 if n >= 3000 else 1.0)
        z, fast, slow, spread = noise_head(
            change, 1e-3, fast, slow, spread, n // 48 % 6, means, counts, float(n)
        )
        loud.append(z)
    assert max(loud[500:3000]) < 1.1 < max(loud[3000:])
    fast = slow = spread = 0.0
    away = []
    for n in range(3200):
        z, fast, slow, spread = level_head(
            rng.normal(3.0 if n >= 3000 else 0.0), fast, slow, spread, float(n)
        )
        away.append(z)
    assert max(away[500:3000]) < 1.5 < max(away[3000:])


def test_heads_are_off_above_eight_channels_and_milder_above_three():
    assert [heads_scale(n) for n in (1, 3, 9)] == [1.0, 1.0, math.inf]
    assert 1.0 < heads_scale(6) < heads_scale(8)
