"""The verdict on scores that an endpoint gave: another's model, each device's own usual values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.protocol import Explanation, RecordRefused, Scores, Verdict
from eddyline.detectors.record import RecordCodec, channel_names, settings_hash
from eddyline.detectors.rows import check_rows
from eddyline.detectors.sentence import tell_level
from eddyline.detectors.setting import check_number
from eddyline.detectors.thresholds import resolve_thresholds
from eddyline.detectors.usual import DEVIATION, MEAN, SEEN, observe_usual, usual_layout

GIVEN_SCORE = "given_score"
"""The column in which `transforms/infer.py` hands over the endpoint's scores."""
BAND = 3.0
"""Half the width of the range that is called usual, in deviations."""


@dataclass(frozen=True)
class Endpoint:
    """Compares the score that an endpoint gave each reading with a threshold, and tells why.

    The endpoint is asked before the readings come here, because it may be slow and may fail, and
    because its answer depends on the reading alone. What is kept of a device is only what is usual
    of its channels (56 bytes each), to tell an anomaly by: the channel farthest from its mean in
    deviations is named first. The verdict is UNSCORED where the endpoint gave no score.

    Args:
        channels: What the columns of the readings are; the given score stands before them.
        threshold: A score from here on is an ANOMALY, in the endpoint's unit.
        warm_up: Readings of a device that are WARM_UP, whatever the endpoint says of them.
        window: Readings that mean and deviation are over.

    Raises:
        ValueError: A setting is out of its range.

    Examples:
        >>> detector = Endpoint((Channel("temperature", -40.0, 85.0, unit="°C"),), threshold=0.9)
        >>> celsius = [20.0, 20.5, 20.0, 20.5, 20.2, 70.0, 20.1]
        >>> rows = np.array([[0.1, c] for c in celsius])
        >>> rows[5, 0], rows[6, 0] = 0.97, np.nan
        >>> scores = detector.observe(detector.new(1), np.zeros(7), np.arange(7), rows)
        >>> [Verdict(verdict).name for verdict in scores.verdict[4:]]
        ['NORMAL', 'ANOMALY', 'UNSCORED']
        >>> print(scores.explanations[5].sentence)
        the endpoint gave 0.97, its threshold is 0.9; temperature 70.0 °C, ...
    """

    name: ClassVar[str] = "endpoint"
    kinds: ClassVar[tuple[str, ...]] = ("event",)
    inputs: ClassVar[tuple[str, ...]] = (GIVEN_SCORE,)

    channels: tuple[Channel, ...]
    threshold: float = 0.5
    warm_up: int = 0
    window: int = 300

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("detector endpoint: channels: at least one is needed")
        check_number(self.name, "threshold", self.threshold, -1e12, 1e12)
        check_number(self.name, "warm_up", self.warm_up, 0, 1_000_000, whole=True)
        check_number(self.name, "window", self.window, 2, 1_000_000, whole=True)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The score from which on a reading is an ANOMALY."""
        return (self.threshold,)

    def new(self, devices: int) -> NDArray[Any]:
        """Return fresh models, one row a device."""
        return _codec(self).layout.new(devices)

    def observe(
        self,
        state: NDArray[Any],
        device: NDArray[np.int32],
        event_time: NDArray[np.int64],
        values: NDArray[np.float64],
        thresholds: NDArray[np.float64] | None = None,
    ) -> Scores:
        """Take each reading's given score, then learn what is usual of its device.

        Args:
            state: What `new` made, or `decode` filled.
            device: Row of `state` for each reading.
            event_time: Play no part.
            values: The given score, NaN where there is none, then the channels: shape
                `[n, 1 + channels]`.
            thresholds: As the protocol says.

        Raises:
            ValueError: The shapes do not agree, or a device is not a row of `state`.
        """
        columns = (_SCORE, *self.channels)
        rows = check_rows(state, device, event_time, values, columns)
        alarm = resolve_thresholds(self.thresholds, thresholds, len(state))[:, 0]
        given = rows.values[:, 0].copy()
        channel_values = np.ascontiguousarray(rows.values[:, 1:])
        before = state["seen"].copy()
        state["seen"] += np.bincount(rows.device, minlength=len(state)).astype(np.int64)
        about = observe_usual(self.window, self.channels, state, rows.device, channel_values)
        warming = before[rows.device] + _places(rows.device) < self.warm_up
        verdict = np.full(len(given), Verdict.NORMAL, dtype=np.uint8)
        verdict[~np.isfinite(given)] = Verdict.UNSCORED
        verdict[warming] = Verdict.WARM_UP
        given[verdict != Verdict.NORMAL] = np.nan
        anomaly = given >= alarm[rows.device]
        verdict[anomaly] = Verdict.ANOMALY
        explanations = {
            row: self._explain(
                float(given[row]), float(alarm[rows.device[row]]), channel_values[row], about[row]
            )
            for row in np.flatnonzero(anomaly).tolist()
        }
        return Scores(given, verdict, anomaly.astype(np.uint8), explanations, {})

    def rebaseline(self, state: NDArray[Any], row: int) -> None:
        """Move each channel's mean to its last value; what the endpoint says is its own affair.

        Raises:
            IndexError: The fleet has no such row.
        """
        channel = state["channel"][row]
        channel["mean"] = channel["last"]

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return one device's model as a record."""
        return _codec(self).encode(state, row)

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all."""
        return _codec(self).encode_many(state, rows)

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row of `state` from a record; one of other channels keeps those in common.

        Raises:
            RecordRefused: With the reason; the row is then fresh.
        """
        _codec(self).decode(record, state, row)

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows, or the first ones; return the reasons of the refused, by position."""
        return _codec(self).decode_many(records, state, rows)

    def _explain(
        self,
        given: float,
        threshold: float,
        values: NDArray[np.float64],
        about: NDArray[np.float64],
    ) -> Explanation:
        there = ~np.isnan(values)
        known = there & (about[SEEN] > 0)
        distance = np.where(known, np.abs(values - about[MEAN]) / about[DEVIATION], 0.0)
        # Where no channel lies off its mean, those that were there share alike.
        weight = distance
        for instead in (there.astype(np.float64), np.ones(len(values))):
            if not weight.sum() > 0.0:
                weight = instead
        # Scaled by the largest first: distances from a channel that never moved have no finite sum.
        share = weight / weight.max()
        share /= share.sum()
        order: list[int] = np.argsort(-share, kind="stable").tolist()
        first = order[0]
        observed = float(values[first])
        expected = float(about[MEAN, first]) if known[first] else math.nan
        deviation = float(about[DEVIATION, first])
        low, high = expected - BAND * deviation, expected + BAND * deviation
        told = f"the endpoint gave {given:.4g}, its threshold is {threshold:.4g}"
        if there[first]:
            channel = self.channels[first]
            told += f"; {tell_level(channel, observed, expected, low, high, deviation)}"
        return Explanation(
            channels=tuple(self.channels[c].name for c in order),
            shares=tuple(share[order].tolist()),
            sign="endpoint",
            observed=observed,
            expected=expected,
            expected_low=low,
            expected_high=high,
            sentence=told,
        )


# Stands in the place of a channel where the shape of the rows is checked.
_SCORE = Channel(GIVEN_SCORE, 0.0, 1.0)


def _places(device: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many rows of the same device stand before each row.

    Examples:
        >>> _places(np.array([7, 3, 7, 7, 3], np.int32)).tolist()
        [0, 0, 1, 2, 1]
    """
    order = np.argsort(device, kind="stable")
    ordered = device[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    lengths = np.diff(np.append(starts, len(ordered)))
    places = np.empty(len(device), np.int64)
    places[order] = np.arange(len(device)) - np.repeat(starts, lengths)
    return places


@lru_cache(maxsize=64)
def _codec(detector: Endpoint) -> RecordCodec:
    layout = usual_layout(len(detector.channels), device=(("seen", "<i8"),))
    return RecordCodec(
        detector=detector.name,
        settings=settings_hash({"window": detector.window}),
        channels=channel_names(detector.channels),
        layout=layout,
        keep_channels=True,
    )
