"""The compiled kernel does what its source says, however the rows are cut."""

import numpy as np
import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Density
from eddyline.detectors.density.season import NO_TIME


def hard_rows(rows, channels, seed):
    """Readings with all that goes wrong: gaps, spikes, constants, jumps in time, no time."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(20, 1, (rows, channels)), 1)
    values[:, -1] = values[:, -1] > 20
    values[rng.random((rows, channels)) < 0.1] = np.nan
    values[rng.random(rows) < 0.02] = np.nan
    values[rows // 2 : rows // 2 + 40, 0] = 20.0
    values[rows * 3 // 4 :, 0] += 1e6
    if channels > 1:
        values[: rows // 2, 1] = np.nan
    values[rows * 4 // 5, 0], values[rows * 4 // 5 + 9, 0] = 1e300, -1e300
    time = np.cumsum(rng.integers(1, 600_000_000, rows))
    time[rows // 3 :] += 40 * 365 * 86_400_000_000
    time[rows - 30 : rows - 20] = NO_TIME
    return rng.integers(0, 2, rows).astype(np.int32), time, values


@pytest.mark.parametrize("channels", [1, 3])
def test_compiled_and_uncompiled_agree_to_the_last_bit(channels, uncompiled_observe):
    detector = Density(tuple(Channel(f"c{n}", -1e9, 1e9) for n in range(channels)))
    device, time, values = hard_rows(900, channels, seed=channels)
    compiled, plain = detector.new(2), detector.new(2)
    scores = detector.observe(compiled, device, time, values)
    with np.errstate(all="raise"):
        verdict, event, condition, novelty, signs, _, _ = uncompiled_observe(
            detector, plain, device, time, values
        )
    assert compiled.tobytes() == plain.tobytes()
    np.testing.assert_array_equal(scores.verdict, verdict)
    np.testing.assert_array_equal(scores.extras["event"], event)
    np.testing.assert_array_equal(scores.extras["condition"], condition)
    np.testing.assert_array_equal(scores.extras["novelty"], novelty)
    np.testing.assert_array_equal(scores.extras["alarm"], signs)
    assert scores.explanations


@pytest.mark.parametrize("channels", [1, 2, 3, 9, 40])
def test_hard_rows_are_answered_and_any_cut_gives_the_same(channels):
    detector = Density(tuple(Channel(f"c{n}", -1e9, 1e9) for n in range(channels)))
    device, time, values = hard_rows(1500, channels, seed=7)
    whole, cut = detector.new(2), detector.new(2)
    scores = detector.observe(whole, device, time, values)
    assert np.isfinite(scores.score[scores.verdict < 2]).all()
    assert np.isnan(scores.score[scores.verdict >= 2]).all()
    np.testing.assert_array_equal(scores.verdict == 4, np.isnan(values).all(axis=1))
    first = 0
    for size in [1, 2, 3, 500, 994]:
        part = slice(first, first + size)
        piece = detector.observe(cut, device[part], time[part], values[part])
        np.testing.assert_array_equal(piece.score, scores.score[part])
        assert piece.explanations == {
            row - first: told
            for row, told in scores.explanations.items()
            if first <= row < first + size
        } or any(np.isnan(told.observed) for told in piece.explanations.values())
        first += size
        for row in range(2):
            detector.decode(detector.encode(cut, row), cut, row)
    assert whole.tobytes() == cut.tobytes()


def test_every_anomaly_and_no_other_row_is_explained():
    detector = Density((Channel("a", -1e9, 1e9), Channel("b", -1e9, 1e9)))
    scores = detector.observe(detector.new(2), *hard_rows(3000, 2, seed=3))
    assert set(scores.explanations) == set(np.flatnonzero(scores.verdict == 1).tolist())
    assert scores.explanations
    for told in scores.explanations.values():
        assert sum(told.shares) == pytest.approx(1.0)
        assert list(told.shares) == sorted(told.shares, reverse=True)
        assert told.sentence.startswith(told.channels[0])
