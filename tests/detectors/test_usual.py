import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.detectors.channel import Channel
from eddyline.detectors.usual import (
    CHANGE,
    CHANGE_SIGN,
    DEVIATION,
    LEVEL_SIGN,
    MEAN,
    MOTION_SIGN,
    SEEN,
    USUAL_CHANGE,
    observe_usual,
    usual_layout,
)

TEMPERATURE = (Channel("temperature", -40.0, 85.0),)


def observe(values, window=300, state=None):
    values = np.array(values, dtype=float)[:, None]
    state = usual_layout(1).new(1) if state is None else state
    return observe_usual(window, TEMPERATURE, state, np.zeros(len(values), np.int32), values)


@given(st.lists(st.floats(-40, 85), min_size=3, max_size=40))
def test_within_the_window_they_are_the_plain_mean_deviation_and_mean_change(values):
    about = observe(values)[-1, :, 0]
    before = values[:-1]
    assert about[SEEN] == len(before)
    assert about[MEAN] == pytest.approx(np.mean(before), abs=1e-9)
    assert about[CHANGE] == values[-1] - values[-2]
    changes = np.abs(np.diff(before))
    smallest = min(changes[changes > 0], default=0.0)
    # The smallest step follows larger ones slowly, so the floor lies between half of it and more.
    floor = about[USUAL_CHANGE] - np.mean(changes)
    assert floor >= 0.5 * smallest - 1e-9
    assert about[DEVIATION] == pytest.approx(np.std(before) + floor, rel=1e-6, abs=1e-6)


@given(st.lists(st.floats(allow_infinity=False), max_size=60))
def test_signs_lie_between_minus_and_plus_one_whatever_comes(values):
    about = observe(values)
    assert np.isfinite(about).all()
    assert (np.abs(about[:, LEVEL_SIGN:]) <= 1.0).all()


def test_as_usual_is_zero():
    about = observe([20.0, 20.5] * 300)[-1, :, 0]
    assert about[[LEVEL_SIGN, MOTION_SIGN]] == pytest.approx([0.2, 0.0], abs=0.12)
    assert observe([20.0])[0, LEVEL_SIGN:, 0].tolist() == [0.0, 0.0, 0.0]


def test_each_fault_shows_in_its_sign():
    usual = list(20 + np.random.default_rng(0).normal(0, 0.5, 400).round(2))
    off = observe([*usual, 30.0])[-1, :, 0]
    assert off[LEVEL_SIGN] > 0.7
    assert off[CHANGE_SIGN] > 0.7
    stuck = observe([*usual, *[20.0] * 40])[-1, :, 0]
    assert stuck[MOTION_SIGN] < -0.9
    noisy = observe([*usual, *[18.0, 22.0] * 10])[-1, :, 0]
    assert noisy[MOTION_SIGN] > 0.5


def test_a_missing_value_teaches_nothing():
    state, same = usual_layout(1).new(1), usual_layout(1).new(1)
    about = observe([20.0, np.nan, np.nan, 21.0], state=state)
    observe([20.0, 21.0], state=same)
    assert state.tobytes() == same.tobytes()
    assert about[1, LEVEL_SIGN:, 0].tolist() == [0.0, 0.0, 0.0]
    assert about[3, CHANGE, 0] == 1.0
