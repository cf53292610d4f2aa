"""An anomaly told: which channels, by which sign, what was observed and what was expected."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import told as t
from eddyline.detectors.density.signs import CONDITION, EVENT, LEVEL, NOISE, PERSISTENCE, STUCK
from eddyline.detectors.protocol import Explanation
from eddyline.detectors.sentence import decimals_for

RANGE = 2.0
"""Usual deviations to either side that are called expected."""
PLAIN = 2.0
"""Bits below which no sign of the channel itself is worth naming."""


def explain(
    channels: Sequence[Channel], about: NDArray[np.float64], signs: int, named: int
) -> Explanation:
    """Tell one anomaly.

    Args:
        channels: Of the detector.
        about: `told` columns of each channel.
        signs: Bits of `signs.Alarm` that stand behind the anomaly.
        named: Channel that the state of alarm was told of last: it stays first to its end.

    Examples:
        >>> about = np.zeros((1, t.COLUMNS))
        >>> about[0, [t.VALUE, t.LEVEL, t.SEASON]] = 6.5, -9.0, -41.0
        >>> about[0, [t.SEASON_MEAN, t.SEASON_SCALE, t.STEP]] = 19.31, 0.312, 0.1
        >>> celsius = Channel("temperature", -40.0, 85.0, unit="°C")
        >>> told = explain([celsius], about, CONDITION, named=0)
        >>> told.sign
        'season'
        >>> told.sentence
        'temperature 6.5 °C, expected 18.7 to 19.9 at this hour: 41 times its usual deviation'
    """
    weights: list[float] = about[:, t.EVIDENCE].tolist()
    if not signs & EVENT:
        weights[named] = max(weights)
    order = sorted(range(len(weights)), key=lambda c: (-weights[c], c != named))
    total = sum(weights)
    if total == 0.0:
        weights, total = [1.0] * len(weights), float(len(weights))
    first = order[0]
    row: list[float] = about[first].tolist()
    sign = _sign(row, signs)
    expected, deviation, when = _expected(row, sign)
    low, high = expected - RANGE * deviation, expected + RANGE * deviation
    return Explanation(
        tuple([channels[c].name for c in order]),
        tuple([weights[c] / total for c in order]),
        sign,
        row[t.VALUE],
        expected,
        low,
        high,
        _sentence(channels[first], row, sign, expected, deviation, when, len(channels)),
    )


def _sign(row: Sequence[float], signs: int) -> str:
    """What to call it: the channel's largest sign, or the alarm's own name where none is large."""
    if signs & STUCK and row[t.STILL] >= row[t.AWAY]:
        return "stuck"
    if signs & (EVENT | CONDITION | PERSISTENCE):
        largest, name = max(
            (math.log2(1.0 + row[t.INNOVATION]), "innovation"),
            (0.5 * math.log2(1.0 + row[t.STUCK]), "stuck"),
            (math.log2(1.0 + abs(row[t.LEVEL])), "level"),
            (
                0.0 if math.isnan(row[t.SEASON_MEAN]) else math.log2(1.0 + abs(row[t.SEASON])),
                "season",
            ),
            (math.log2(1.0 + row[t.VOLATILITY]) if signs & EVENT else 0.0, "volatility"),
        )
        if largest >= PLAIN:
            return name
        if signs & EVENT:
            return "joint"
    if signs & NOISE and row[t.NOISE] >= row[t.AWAY]:
        return "noise"
    if signs & LEVEL:
        return "level"
    return "noise" if signs & NOISE else "persistence"


def _expected(row: Sequence[float], sign: str) -> tuple[float, float, str]:
    """Expected value, usual deviation, and in words when."""
    if sign in ("innovation", "volatility", "noise"):
        return row[t.REFERENCE], row[t.REFERENCE_SCALE], " after the readings before it"
    if sign != "level" and not math.isnan(row[t.SEASON_MEAN]):
        return row[t.SEASON_MEAN], row[t.SEASON_SCALE], " at this hour"
    return row[t.LEVEL_MEAN], row[t.LEVEL_SCALE], ""


def _sentence(
    channel: Channel,
    row: Sequence[float],
    sign: str,
    expected: float,
    deviation: float,
    when: str,
    channels: int,
) -> str:
    value = row[t.VALUE]
    unit = f" {channel.unit}" if channel.unit else ""
    if math.isnan(value):
        return f"{channel.name} is missing; the alarm it began is not over"
    if row[t.STEP] == 0.0 and sign != "stuck":
        return f"{channel.name} {value:.6g}{unit}, expected {expected:.6g}: it had not moved before"
    digits = decimals_for(2.0 * RANGE * deviation)
    observed = f"{channel.name} {value:.{digits}f}{unit}"
    low, high = expected - RANGE * deviation, expected + RANGE * deviation
    usual = f"expected {low:.{digits}f} to {high:.{digits}f}{when}"
    if sign == "stuck":
        return f"{observed}, unchanged for {row[t.RUN]:.0f} readings: it usually moves sooner"
    if sign in ("noise", "volatility"):
        now, before = _steps(row, sign)
        return f"{observed}, {usual}: noisier than usual, steps {now / before:.1f} times as large"
    times = abs(value - expected) / deviation if deviation > 0.0 else math.inf
    shown = f"{times:.0f}" if times >= 10.0 else f"{times:.1f}"
    if sign == "persistence":
        return f"{observed}, {usual}: not far from the usual, but for long"
    if sign == "joint" and channels > 1:
        return f"{observed}, {usual}: a combination of channels not seen before"
    return f"{observed}, {usual}: {shown} times its usual deviation"


def _steps(row: Sequence[float], sign: str) -> tuple[float, float]:
    """Size of the steps now and usually, in any unit."""
    if sign == "volatility":
        return max(row[t.VOLATILITY], 0.0), 1.0
    return 2.0 ** min(row[t.STEP_NOW] - row[t.STEP_USUAL], 99.0), 1.0
