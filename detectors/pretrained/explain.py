"""Why the forests found a reading isolated: what they would have said without each channel."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.pretrained.features import SIGNS
from eddyline.detectors.pretrained.model import Model
from eddyline.detectors.protocol import Explanation
from eddyline.detectors.sentence import tell_level, tell_value
from eddyline.detectors.usual import (
    CHANGE,
    DEVIATION,
    MEAN,
    MOTION_SIGN,
    SEEN,
    USUAL_CHANGE,
)

BAND = 3.0
"""Half the width of the range that is called usual, in deviations or usual changes."""
JOINT = 1.0
"""Bits by which the joint forest must exceed each channel's own for a combination to be told."""


class Lost(NamedTuple):
    """Bits that the forests together lose without a channel or a sign of it; none is negative."""

    channel: NDArray[np.float64]
    """Shape `[channels]`; `[n, channels]` of several anomalies."""
    sign: NDArray[np.float64]
    """Shape `[channels, signs]`."""
    joint: NDArray[np.float64]
    """By how many bits the joint forest exceeds every channel's own."""


def ablation(model: Model, features: NDArray[np.float32]) -> Lost:
    """Return what anomalies lose without each channel, and with each sign as usual.

    Args:
        model: The forests.
        features: Of the anomalies, shape `[n, channels * signs]`.
    """
    n, width = features.shape
    channels = width // len(SIGNS)
    # One copy of each row for each channel and for each sign, with that part taken out.
    own = np.repeat(np.eye(channels, dtype=np.bool_), len(SIGNS), axis=1)
    missing = np.where(own, np.float32(np.nan), features[:, None, :])
    usual = np.where(np.eye(width, dtype=np.bool_), np.float32(0.0), features[:, None, :])
    usual = np.where(np.isnan(features[:, None, :]), np.float32(np.nan), usual)
    bits = model.bits(features)
    whole = bits.sum(axis=1)[:, None]
    without = model.bits(missing.reshape(-1, width)).sum(axis=1).reshape(n, channels)
    with_usual = model.bits(usual.reshape(-1, width)).sum(axis=1).reshape(n, width)
    return Lost(
        np.maximum(whole - without, 0.0),
        np.maximum(whole - with_usual, 0.0).reshape(n, channels, len(SIGNS)),
        bits[:, -1] - bits[:, :channels].max(axis=1),
    )


def explain(
    channels: list[Channel], values: NDArray[np.float64], about: NDArray[np.float64], lost: Lost
) -> Explanation:
    """Tell one anomaly.

    Args:
        channels: Of the model, in its order.
        values: Of these channels.
        about: Of these channels, as `observe_usual` returns it: shape `[COLUMNS, channels]`.
        lost: Of this anomaly.

    Examples:
        >>> celsius = Channel("temperature", -40.0, 85.0, unit="°C")
        >>> about = np.zeros((8, 1))
        >>> about[[SEEN, MEAN, DEVIATION, CHANGE, USUAL_CHANGE], 0] = 60, 20.0, 0.5, 5.0, 0.2
        >>> lost = Lost(np.array([9.0]), np.array([[2.0, 7.0, 0.0]]), np.array(0.0))
        >>> told = explain([celsius], np.array([24.0]), about, lost)
        >>> told.sign, told.expected
        ('innovation', 19.0)
        >>> told.sentence
        'temperature 24.0 °C after 19.0: 25 times its usual change'
    """
    # Where no channel lowers it, those that were there share alike: there is at least one.
    weight = lost.channel
    for instead in (~np.isnan(values) & (about[SEEN] > 0), np.ones(len(values))):
        if not weight.sum() > 0.0:
            weight = instead.astype(np.float64)
    share = weight / weight.sum()
    order: list[int] = np.argsort(-share, kind="stable").tolist()
    first = order[0]
    motion = float(about[MOTION_SIGN, first])
    sign = SIGNS[int(np.argmax(lost.sign[first]))]
    if sign == "motion":
        sign = "stuck" if motion < 0.0 else "noise"
    observed = float(values[first])
    expected, spread = float(about[MEAN, first]), float(about[DEVIATION, first])
    if sign == "innovation":
        expected = observed - float(about[CHANGE, first])
        spread = float(about[USUAL_CHANGE, first])
    low, high = expected - BAND * spread, expected + BAND * spread
    channel, width = channels[first], high - low
    value = tell_value(channel, observed, width)
    if len(channels) > 1 and lost.joint > JOINT:
        sign = "joint"
        there = [c for c in order if not np.isnan(values[c])][:2]
        spreads = about[DEVIATION]
        named = [tell_value(channels[c], values[c], 2 * BAND * spreads[c]) for c in there]
        sentence = f"{' with '.join(named)}: a combination hardly seen in training"
    elif sign == "level":
        sentence = tell_level(channel, observed, expected, low, high, spread)
    elif sign == "innovation":
        before = tell_value(Channel("after", 0.0, 1.0), expected, width)
        times = abs(observed - expected) / spread
        shown = f"{times:.0f}" if times >= 10.0 else f"{times:.1f}"
        sentence = f"{value} {before}: {shown} times its usual change"
    elif sign == "stuck":
        sentence = f"{value}: it hardly moves, and usually does"
    else:
        times = (1.0 + motion) / max(1.0 - motion, 0.01)
        sentence = f"{value}: noisier than usual, its changes are {times:.1f} times as large"
    return Explanation(
        channels=tuple(channels[c].name for c in order),
        shares=tuple(share[order].tolist()),
        sign=sign,
        observed=observed,
        expected=expected,
        expected_low=low,
        expected_high=high,
        sentence=sentence,
    )
