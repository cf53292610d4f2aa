import math

import numpy as np
import pytest

from benchmarks.quality.windowed_gaussian import STEP, WINDOW, windowed_gaussian


def test_the_score_is_one_minus_the_tail_beyond_the_value():
    scores = windowed_gaussian(np.array([0.0, 2.0, 0.0, 2.0, 3.0]))
    # Mean 1 and deviation 1 of the four values before.
    assert scores[4] == pytest.approx(1.0 - 0.5 * math.erfc(2.0 / math.sqrt(2.0)))


def test_a_value_below_the_mean_scores_like_one_above():
    past = [0.0, 2.0, 0.0, 2.0]
    assert windowed_gaussian(np.array([*past, -1.0]))[4] == pytest.approx(
        windowed_gaussian(np.array([*past, 3.0]))[4]
    )


def test_a_full_window_moves_on_a_step_at_a_time():
    values = np.zeros(WINDOW + STEP + 2)
    values[WINDOW:] = 1.0
    values[WINDOW + STEP] = 0.5
    scores = windowed_gaussian(values)
    # A constant window has no deviation: certain until the step takes in the first ones.
    assert (scores[WINDOW : WINDOW + STEP] == 1.0).all()
    assert scores[WINDOW + STEP] < 1.0


def test_a_score_does_not_know_the_future():
    values = np.random.default_rng(1).normal(size=300)
    assert (windowed_gaussian(values)[:200] == windowed_gaussian(values[:200])).all()
