"""The course of one device: its readings, what was expected of each, scores and alarms."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.protocol import Detector

NEVER, ALWAYS = np.inf, -1e9
"""Thresholds: no reading alarms, every scored reading does."""
PASSING = frozenset({"innovation", "volatility", "noise"})
"""Signs that are told against the readings just before, and not against what is usual for long."""


class Band(NamedTuple):
    """What was expected of one channel; NaN where the detector had nothing to say."""

    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Trouble:
    """One incident, or one planted or labelled fault, from its start to its end (µs)."""

    kind: str
    severity: str
    start: int
    end: int | None
    sentence: str


@dataclass(frozen=True)
class Course:
    """One device over some time, n readings in the order of their event times.

    Args:
        device: Its id.
        channels: What was measured.
        time: Event times, µs, shape `[n]`.
        values: NaN where missing, shape `[n, channels]`.
        bands: One a channel.
        scores: By name, in the order to be shown, shape `[n]` each; NaN where there is none, as in
            the warm-up.
        thresholds: By the same names, where a score has one.
        anomaly: Where the verdict is ANOMALY, shape `[n]`.
        named: The channel that the explanation of an anomaly names first; -1 where there is none.
        notes: Words for below the title.
        troubles: Incidents, or others of a beginning and an end.
        told: What they are.
        until: Where the picture ends, µs; None for the last reading.
    """

    device: str
    channels: tuple[Channel, ...]
    time: NDArray[np.int64]
    values: NDArray[np.float64]
    bands: tuple[Band, ...]
    scores: Mapping[str, NDArray[np.float64]]
    thresholds: Mapping[str, float]
    anomaly: NDArray[np.bool_]
    named: NDArray[np.int64]
    notes: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    told: str = "incidents"
    until: int | None = None


def run_again(
    device: str,
    detector: Detector,
    time: NDArray[np.int64],
    values: NDArray[np.float64],
    first: int = 0,
) -> Course:
    """Run a detector over a device's readings, from a fresh model, and tell its course.

    A detector says what it expected only of anomalies. So each channel is run once more by itself,
    with thresholds below which no score is: thresholds change verdicts and nothing that is learned,
    and the first channel of every explanation is the only one there is. Where a sign needs several
    channels (a joint event), the band is that of the channel alone.

    Args:
        device: Its id.
        detector: Of all channels.
        time: Event times, µs, ascending, shape `[n]`.
        values: Shape `[n, channels]`.
        first: Readings before this one are learned and not told.

    Examples:
        >>> from eddyline.detectors.moving_average import MovingAverage
        >>> celsius = Channel("temperature", -40.0, 85.0, unit="°C")
        >>> values = np.array([[20.0], [20.5], [20.0], [20.5], [20.2], [70.0]])
        >>> course = run_again("a", MovingAverage((celsius,), window=4), np.arange(6), values)
        >>> course.anomaly.tolist()
        [False, False, False, False, False, True]
        >>> course.bands[0].expected.round(2).tolist()
        [nan, nan, nan, nan, 20.25, 20.24]
    """
    state, rows = detector.new(1), np.zeros(len(time), np.int32)
    scores = detector.observe(state, rows, time, values)
    shown, ready = slice(first, None), ~np.isnan(scores.score)
    by_name = {kind: scores.extras[kind] for kind in detector.kinds if kind in scores.extras}
    own = dict(zip(detector.kinds, detector.thresholds, strict=True))
    if not by_name:
        by_name, own = {"score": scores.score}, {"score": detector.thresholds[0]}
    column = {channel.name: c for c, channel in enumerate(detector.channels)}
    named = np.full(len(time), -1)
    for row, why in scores.explanations.items():
        named[row] = column[why.channels[0]]
    return Course(
        device,
        detector.channels,
        time[shown],
        values[shown],
        tuple(_band(detector, c, time, values, first) for c in range(values.shape[1])),
        {name: np.where(ready, score, np.nan)[shown] for name, score in by_name.items()},
        own,
        scores.alarms[shown] != 0,
        named[shown],
    )


def _band(
    detector: Any, channel: int, time: NDArray[np.int64], values: NDArray[np.float64], first: int
) -> Band:
    alone: Detector = replace(detector, channels=(detector.channels[channel],))
    own = np.ascontiguousarray(values[:, channel : channel + 1])
    # An explanation takes longer than a reading: none of those that are only learned.
    state, told = alone.new(1), np.full((3, len(time) - first), np.nan)
    passing = np.zeros(len(time) - first, np.bool_)
    for part, threshold in ((slice(0, first), NEVER), (slice(first, None), ALWAYS)):
        rows = np.zeros(len(time[part]), np.int32)
        limits = np.full((1, len(alone.kinds)), threshold)
        explanations = alone.observe(state, rows, time[part], own[part], limits).explanations
        for row, why in explanations.items():
            told[:, row] = why.expected, why.expected_low, why.expected_high
            passing[row] = why.sign in PASSING
    lasting = np.flatnonzero(~passing & ~np.isnan(told[0]))
    if len(lasting):
        rows = np.flatnonzero(passing)
        before = np.searchsorted(lasting, rows) - 1
        told[:, rows] = told[:, lasting[np.maximum(before, 0)]]
    return Band(*told)
