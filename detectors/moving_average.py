"""Mean and deviation of each channel in a moving window: the plainest detector, and a yardstick."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.kernel import buffer, field, given, kernel
from eddyline.detectors.layout import Layout
from eddyline.detectors.protocol import Explanation, RecordRefused, Scores, Verdict
from eddyline.detectors.record import RecordCodec, channel_names, settings_hash
from eddyline.detectors.rows import check_rows
from eddyline.detectors.sentence import tell_level
from eddyline.detectors.setting import check_number
from eddyline.detectors.thresholds import resolve_thresholds


@dataclass(frozen=True)
class MovingAverage:
    """How many deviations a reading lies from its channels' moving means; the largest counts.

    The window is exponential: a reading's weight falls by 1/e over `window` readings of its
    channel, and the first `window` readings weigh alike. That takes 40 bytes a channel where a ring
    of 60 values takes 480. A channel is scored once it has shown `window` values; one that appears
    later warms up by itself, and one that is missing keeps what it had.

    To the deviation half of the channel's smallest step is added, so that a coarse sensor or a
    boolean is not an anomaly whenever it moves at all.

    The verdict is WARM_UP where no channel of the reading is ready, UNSCORED where the reading has
    no value at all.

    Args:
        channels: What the columns of the readings are.
        threshold: Deviations from which on a reading is an ANOMALY.
        window: Readings that the mean and the deviation are over, and of the warm-up.

    Raises:
        ValueError: A setting is out of its range.

    Examples:
        >>> detector = MovingAverage((Channel("temperature", -40.0, 85.0, unit="°C"),), window=4)
        >>> celsius = np.array([[20.0], [20.5], [20.0], [20.5], [20.2], [70.0]])
        >>> scores = detector.observe(detector.new(1), np.zeros(6), np.arange(6), celsius)
        >>> scores.score.round(2).tolist()
        [nan, nan, nan, nan, 0.1, 135.38]
        >>> scores.explanations[5].sentence
        'temperature 70.0 °C, expected 18.8 to 21.7: 135 times its usual deviation'
    """

    name: ClassVar[str] = "moving_average"
    kinds: ClassVar[tuple[str, ...]] = ("event",)

    channels: tuple[Channel, ...]
    threshold: float = 4.0
    window: int = 60

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("detector moving_average: channels: at least one is needed")
        check_number(self.name, "threshold", self.threshold, 1e-6, 1e12)
        check_number(self.name, "window", self.window, 2, 1_000_000, whole=True)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Deviations from which on a reading is an ANOMALY."""
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
        """Score each reading against its device's mean and deviation, then learn it.

        Event times play no part: the window is counted in readings.

        Raises:
            ValueError: The shapes do not agree, or a device is not a row of `state`.
        """
        rows = check_rows(state, device, event_time, values, self.channels)
        alarm = resolve_thresholds(self.thresholds, thresholds, len(state))[:, 0]
        readings, channels = rows.values.shape
        score = np.empty(readings)
        # Written for anomalies only, so few of its pages are ever touched.
        reason = np.empty((readings, 3, channels))
        channel = state["channel"]
        observe_rows(
            self.window,
            alarm,
            np.array([0.0 if c.kind == "double" else 1.0 for c in self.channels]),
            channel["seen"],
            channel["mean"],
            channel["variance"],
            channel["last"],
            channel["step"],
            rows.device,
            rows.values,
            score,
            reason,
        )
        verdict = np.full(readings, Verdict.NORMAL, dtype=np.uint8)
        verdict[np.isnan(score)] = Verdict.WARM_UP
        verdict[np.isnan(rows.values).all(axis=1)] = Verdict.UNSCORED
        anomaly = score >= alarm[rows.device]
        verdict[anomaly] = Verdict.ANOMALY
        explanations = {
            row: self._explain(rows.values[row], *reason[row])
            for row in np.flatnonzero(anomaly).tolist()
        }
        return Scores(score, verdict, anomaly.astype(np.uint8), explanations, {})

    def rebaseline(self, state: NDArray[Any], row: int) -> None:
        """Move each channel's mean to its last value; its deviation stays.

        Raises:
            IndexError: The fleet has no such row.
        """
        channel = state["channel"][row]
        channel["mean"] = channel["last"]

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return one device's model as a record."""
        return _codec(self).encode(state, row)

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row of `state` from a record; one of other channels keeps those in common.

        Raises:
            RecordRefused: With the reason; the row is then fresh.
        """
        _codec(self).decode(record, state, row)

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all."""
        return _codec(self).encode_many(state, rows)

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows, or the first ones; return the reasons of the refused, by position."""
        return _codec(self).decode_many(records, state, rows)

    def _explain(
        self,
        values: NDArray[np.float64],
        distance: NDArray[np.float64],
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
    ) -> Explanation:
        order: list[int] = np.argsort(-distance, kind="stable").tolist()
        # Scaled by the largest first: distances from a channel that never moved have no finite sum.
        share = distance / distance.max()
        share /= share.sum()
        first = order[0]
        observed, expected = float(values[first]), float(mean[first])
        band = self.threshold * float(deviation[first])
        low, high = expected - band, expected + band
        return Explanation(
            channels=tuple(self.channels[c].name for c in order),
            shares=tuple(share[order].tolist()),
            sign="level",
            observed=observed,
            expected=expected,
            expected_low=low,
            expected_high=high,
            sentence=tell_level(
                self.channels[first], observed, expected, low, high, float(deviation[first])
            ),
        )


@kernel(
    types.void(
        types.int64,
        types.Array(types.float64, 1, "A", readonly=True),
        given(types.float64, 1),
        field(types.int64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        given(types.int32, 1),
        given(types.float64, 2),
        buffer(types.float64, 1),
        buffer(types.float64, 3),
    )
)
def observe_rows(
    window: int,
    alarm: NDArray[np.float64],
    least_step: NDArray[np.float64],
    seen: NDArray[np.int64],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    last: NDArray[np.float64],
    step: NDArray[np.float64],
    device: NDArray[np.int32],
    values: NDArray[np.float64],
    score: NDArray[np.float64],
    reason: NDArray[np.float64],
) -> None:
    """Score, then learn, row by row.

    Mean and variance move by West's step with the rate a = max(1/(n + 1), 1/window): d = x - mean;
    mean += a d; variance = (1 - a)(variance + a d d). The step q is the smallest change seen,
    following larger ones slowly: q += .01 (min(|dx|, 2q) - q).

    Args:
        window: In readings.
        alarm: A device's score from here on is asked for its reason, shape `[devices]`.
        least_step: Smallest change each channel can make, 0 where unknown.
        seen: Readings of each channel, shape `[devices, channels]`, as the next four.
        mean: Moving means.
        variance: Moving variances.
        last: Last values.
        step: Smallest steps.
        device: Row of each reading.
        values: Shape `[n, channels]`.
        score: Takes the scores, NaN where no channel is ready.
        reason: Takes for alarms each channel's distance in deviations, mean, and deviation, shape
            `[n, 3, channels]`; other rows stay as they are. A channel without a distance has 0.
    """
    distance = np.empty(values.shape[1])
    deviation = np.empty(values.shape[1])
    for row in range(device.size):
        d = device[row]
        largest = np.nan
        for c in range(distance.size):
            value = values[row, c]
            floor = 0.5 * max(step[d, c], least_step[c]) + 1e-9 * abs(mean[d, c]) + 1e-12
            deviation[c] = np.sqrt(variance[d, c]) + floor
            distance[c] = 0.0
            if seen[d, c] >= window and not np.isnan(value):
                distance[c] = abs(value - mean[d, c]) / deviation[c]
                if not largest >= distance[c]:
                    largest = distance[c]
        score[row] = largest
        if largest >= alarm[d]:
            for c in range(distance.size):
                reason[row, 0, c] = distance[c]
                reason[row, 1, c] = mean[d, c]
                reason[row, 2, c] = deviation[c]
        for c in range(distance.size):
            value = values[row, c]
            if np.isnan(value):
                continue
            if seen[d, c] == 0:
                last[d, c] = value
            change = abs(value - last[d, c])
            if change > 0.0:
                smaller = step[d, c] == 0.0 or change < step[d, c]
                follow = step[d, c] + 0.01 * (min(change, 2.0 * step[d, c]) - step[d, c])
                step[d, c] = change if smaller else follow
            last[d, c] = value
            rate = max(1.0 / (seen[d, c] + 1), 1.0 / window)
            away = value - mean[d, c]
            mean[d, c] += rate * away
            variance[d, c] = (1.0 - rate) * (variance[d, c] + rate * away * away)
            seen[d, c] += 1


@lru_cache(maxsize=64)
def _codec(detector: MovingAverage) -> RecordCodec:
    layout = Layout(
        channels=len(detector.channels),
        channel=(
            ("seen", "<i8"),
            ("mean", "<f8"),
            ("variance", "<f8"),
            ("last", "<f8"),
            ("step", "<f8"),
        ),
    )
    return RecordCodec(
        detector=detector.name,
        settings=settings_hash({"window": detector.window}),
        channels=channel_names(detector.channels),
        layout=layout,
        keep_channels=True,
    )
