import numpy as np
import pytest

from benchmarks.quality import injected
from benchmarks.quality.metrics import runs
from benchmarks.quality.sets import Device


def device(rows=4000):
    random = np.random.default_rng(3)
    values = np.round(random.normal(20.0, 1.0, (rows, 2)), 1)
    return Device("d", np.arange(rows) * 60_000_000, values, np.zeros(rows, np.bool_))


@pytest.mark.parametrize("fault", injected.FAULTS)
def test_only_labelled_rows_change_and_one_channel_at_a_time(fault):
    original = device()
    changed = injected.inject(original, [0, 1], fault, seed=1)
    moved = ~np.isclose(changed.values, original.values, atol=0.01)
    assert moved[changed.label].any()
    assert not moved[~changed.label].any()
    for start, end in runs(changed.label):
        assert moved[start:end].any(axis=0).sum() == 1


def test_events_take_the_channels_in_turn_and_leave_time_to_learn():
    original = device()
    changed = injected.inject(original, [0, 1], "bias_1.5sd", seed=1)
    events = runs(changed.label)
    middle = (events[:, 0] + events[:, 1]) // 2
    moved = changed.values[middle] - original.values[middle] > 1.0
    assert moved.tolist() == [[True, False], [False, True]] * 3
    assert len(events) == 6
    assert (events[:, 1] - events[:, 0] == 200).all()
    assert events[0, 0] >= injected.LEARNING
    assert (events[1:, 0] - events[:-1, 1] >= 200).all()


def test_a_bias_moves_the_mean_by_its_deviations_on_the_sensors_own_grid():
    original = device()
    changed = injected.inject(original, [0], "bias_1.5sd", seed=1)
    start, end = runs(changed.label)[0]
    moved = changed.values[start:end, 0] - original.values[start:end, 0]
    assert moved == pytest.approx(1.5 * original.values[:, 0].std(), abs=0.051)
    assert changed.values[start:end, 0] == pytest.approx(np.round(changed.values[start:end, 0], 1))


def test_a_ramp_starts_at_nothing_and_ends_at_its_height():
    values = np.tile([0.0, 2.0], 50)
    moved = injected.ramp(values, 10, 20, 3.0) - values[10:20]
    assert moved[0] == 0.0
    assert moved[-1] == pytest.approx(3.0)
    assert (np.diff(moved) > 0).all()


def test_noise_times_5_leaves_the_signal():
    values = np.tile([0.0, 2.0], 50)
    assert injected.noise(values, 20, 40, 5.0).std() == pytest.approx(5.0, rel=0.1)
    assert injected.noise(values, 20, 40, 5.0).mean() == pytest.approx(1.0, abs=0.05)


def test_the_same_seed_puts_events_in_the_same_places():
    label = [injected.inject(device(), [0], "noise_x2", seed).label for seed in (1, 1, 2)]
    assert (label[0] == label[1]).all()
    assert (label[0] != label[2]).any()


def test_a_short_recording_gets_fewer_events():
    changed = injected.inject(device(rows=500), [0], "ramp_3sd", seed=1)
    assert len(runs(changed.label)) == 1
    assert len(runs(injected.inject(device(rows=320), [0], "ramp_3sd", seed=1).label)) == 0
