"""Half-Space Trees with River's own windows and score, bit-equal to River and far cheaper.

After Tan, Ting and Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011, as
`river.anomaly.HalfSpaceTrees` has it: readings are counted in the nodes they pass; after each
window the counts become the reference that the next window is scored against. A device keeps two
counters a node; the trees are shared (`eddyline.detectors.forest`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.forest import Forest, build_forest
from eddyline.detectors.half_space_windows import (
    TO_STANDARD,
    observe_rows,
    refer_to,
    sum_leaves,
)
from eddyline.detectors.layout import Counters, Layout, bytes_of
from eddyline.detectors.protocol import Explanation, RecordRefused, Scores, Verdict
from eddyline.detectors.record import RecordCodec, channel_names, settings_hash
from eddyline.detectors.rows import check_rows
from eddyline.detectors.sentence import tell_level, tell_value
from eddyline.detectors.setting import check_number
from eddyline.detectors.thresholds import resolve_thresholds

THRESHOLDS = {"channel": 0.95, "learned": 0.995}
# Half the width of the range that is called usual, in standard deviations.
BAND = 3.0
# The share from which a third or further channel is named in the sentence.
NAMED = 0.1


@dataclass(frozen=True)
class HalfSpaceTrees:
    """River's Half-Space Trees for every device of a fleet.

    Bit-equal to `river.anomaly.HalfSpaceTrees`, score then learn, on any stream: a missing channel
    (NaN) is a key that is not there. Two things differ in name only: in the first window the
    verdict is WARM_UP and the score NaN where River says 0, and the trees are built over all
    channels where River takes those of its first reading.

    With the channels' physical limits River splits a channel the more often the wider its limits
    are in numbers: 800 hPa of pressure leave nothing for a gas of 0 to 1 ppm. Learned limits weigh
    all channels alike.

    An anomaly is told by what its score would be with usual values in the place of observed ones.
    Its sign is "level" where the channel with the largest share lies more than three deviations
    from its slow mean, and "joint" where it does not and others were there.

    Args:
        channels: What the columns of the readings are.
        threshold: A score from here on is an ANOMALY; scores lie in [0, 1]. None is 0.95 for the
            channels' limits and 0.995 for learned ones: of the readings of seven healthy devices
            (env_telemetry, asnx, eno_box) at most 0.03 % and 2 % pass these, of the spikes of
            intel_faults 99 % and 78 %.
        n_trees: Number of trees.
        height: Splits between the root and a leaf, at least 3.
        window_size: Readings in a window, and so in the warm-up; at most 65,535.
        seed: Of the trees.
        limits: "channel" takes the channels' limits, "learned" scales each channel to what it has
            shown so far, bit-equal to River's `MinMaxScaler | HalfSpaceTrees`.

    Raises:
        ValueError: A setting is out of its range.

    Examples:
        >>> detector = HalfSpaceTrees((Channel("temperature", -40.0, 85.0),), window_size=4)
        >>> state = detector.new(devices=1)
        >>> celsius = np.array([[20.0], [20.5], [20.0], [20.5], [20.2], [70.0]])
        >>> scores = detector.observe(state, np.zeros(6), np.arange(6), celsius)
        >>> [Verdict(verdict).name for verdict in scores.verdict[3:]]
        ['WARM_UP', 'NORMAL', 'ANOMALY']
        >>> scores.explanations[5].sentence
        'temperature 70.0, expected 19.4 to 21.1: 175 times its usual deviation'
    """

    name: ClassVar[str] = "half_space_trees"
    kinds: ClassVar[tuple[str, ...]] = ("event",)

    channels: tuple[Channel, ...]
    threshold: float | None = None
    n_trees: int = 10
    height: int = 8
    window_size: int = 250
    seed: int = 42
    limits: Literal["channel", "learned"] = "channel"

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("detector half_space_trees: channels: at least one is needed")
        if self.threshold is not None:
            check_number(self.name, "threshold", self.threshold, 0.0, 1.0)
        check_number(self.name, "n_trees", self.n_trees, 1, 1000, whole=True)
        check_number(self.name, "height", self.height, 3, 15, whole=True)
        check_number(self.name, "window_size", self.window_size, 1, 65_535, whole=True)
        check_number(self.name, "seed", self.seed, 0, 2**63 - 1, whole=True)
        if self.limits not in ("channel", "learned"):
            raise ValueError(
                f"detector half_space_trees: limits: {self.limits!r} is not channel or learned"
            )

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The score from which on a reading is an ANOMALY."""
        return (THRESHOLDS[self.limits] if self.threshold is None else self.threshold,)

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
        """Score each reading against its device's last full window, then count it.

        Event times play no part: windows are counted in readings.

        Raises:
            ValueError: The shapes do not agree, or a device is not a row of `state`.
        """
        rows = check_rows(state, device, event_time, values, self.channels)
        alarm = resolve_thresholds(self.thresholds, thresholds, len(state))[:, 0]
        forest = _forest(self)
        readings, channels = rows.values.shape
        score = np.empty(readings)
        # Written for anomalies only, so few of its pages are ever touched.
        reason = np.empty((readings, 3, channels))
        channel = state["channel"]
        observe_rows(
            forest.feature,
            forest.threshold,
            forest.height,
            self.window_size,
            self.limits == "learned",
            alarm,
            channel["seen"],
            channel["mean"],
            channel["deviation"],
            channel["smallest"],
            channel["largest"],
            state["filled"],
            state["windows"],
            state["current"],
            state["reference"],
            rows.device,
            rows.values,
            score,
            reason,
        )
        verdict = np.full(readings, Verdict.NORMAL, dtype=np.uint8)
        verdict[np.isnan(score)] = Verdict.WARM_UP
        anomaly = score >= alarm[rows.device]
        verdict[anomaly] = Verdict.ANOMALY
        anomalies = np.flatnonzero(anomaly)
        explanations: dict[int, Explanation] = {}
        if len(anomalies):
            told = self._explain(rows.values[anomalies], *reason[anomalies].swapaxes(0, 1))
            explanations = dict(zip(anomalies.tolist(), told, strict=True))
        return Scores(score, verdict, anomaly.astype(np.uint8), explanations, {})

    def rebaseline(self, state: NDArray[Any], row: int) -> None:
        """Make the readings of the window being filled the reference, as if they had filled it.

        Before the first full window, and right after one, nothing changes.

        Raises:
            IndexError: The fleet has no such row.
        """
        if state["windows"][row] > 0 and state["filled"][row] > 0:
            times = self.window_size / float(state["filled"][row])
            refer_to(state["current"][row], state["reference"][row], times)

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return one device's model as a record."""
        return _codec(self).encode(state, row)

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row of `state` from a record.

        Raises:
            RecordRefused: With the reason; the row is then fresh.
        """
        for refusal in self.decode_many((record,), state, (row,)).values():
            raise refusal

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all."""
        return _codec(self).encode_many(state, rows)

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows, or the first ones; return the reasons of the refused, by position."""
        chosen = range(len(records)) if rows is None else rows
        codec = _codec(self)
        refused = codec.decode_many(records, state, chosen)
        filled = np.asarray(chosen, dtype=np.int64)
        reference = codec.layout.groups[self.n_trees :]
        sum_leaves(bytes_of(state), filled, reference, self.height)
        return refused

    def _explain(
        self,
        values: NDArray[np.float64],
        part: NDArray[np.float64],
        usual: NDArray[np.float64],
        deviation: NDArray[np.float64],
    ) -> list[Explanation]:
        """Tell anomalies; all arguments have the shape `[anomalies, channels]`.

        `part` and the others are what `observe_rows` writes as the reason.
        """
        standard = TO_STANDARD * deviation
        observed = ~np.isnan(values)
        distance = np.abs(values - usual) / (standard + 1e-12)
        # A channel's first value has nothing to be near to.
        distance = np.where(observed, np.nan_to_num(distance, nan=BAND), 0.0)
        # Where no channel lowers the score (the mean of two habits is none itself), the distance
        # from it decides, and where there is none either, all share alike.
        weight = part
        for instead in (distance, observed, np.ones(values.shape)):
            weight = np.where(weight.sum(axis=1, keepdims=True) > 0.0, weight, instead)
        share = weight / weight.sum(axis=1, keepdims=True)
        order = np.argsort(-share, axis=1, kind="stable")
        columns = (order, share, values, usual, standard, distance)
        return [self._tell(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def _tell(
        self,
        order: list[int],
        share: list[float],
        value: list[float],
        usual: list[float],
        standard: list[float],
        distance: list[float],
    ) -> Explanation:
        """Tell one anomaly; one value a channel, `order` by share."""
        first = order[0]
        there = [c for c in order if not math.isnan(value[c])]
        low = [usual[c] - BAND * standard[c] for c in range(len(order))]
        high = [usual[c] + BAND * standard[c] for c in range(len(order))]
        off = distance[first] >= BAND
        if not there:
            sentence = "no channel has a value"
        elif off:
            sentence = tell_level(
                self.channels[first],
                value[first],
                usual[first],
                low[first],
                high[first],
                standard[first],
            )
        else:
            named = [c for n, c in enumerate(there) if n < 2 or share[c] >= NAMED]
            told = " with ".join(
                tell_value(self.channels[c], value[c], high[c] - low[c]) for c in named
            )
            sentence = f"{told}: hardly seen in the {self.window_size} readings before"
        return Explanation(
            channels=tuple(self.channels[c].name for c in order),
            shares=tuple(share[c] for c in order),
            sign="level" if off or len(there) < 2 else "joint",
            observed=value[first],
            expected=usual[first],
            expected_low=low[first],
            expected_high=high[first],
            sentence=sentence,
        )


@lru_cache(maxsize=64)
def _forest(detector: HalfSpaceTrees) -> Forest:
    unit = detector.limits == "learned"
    return build_forest(
        channel_names(detector.channels),
        tuple((0.0, 1.0) if unit else (c.minimum, c.maximum) for c in detector.channels),
        n_trees=detector.n_trees,
        height=detector.height,
        seed=detector.seed,
    )


@lru_cache(maxsize=64)
def _codec(detector: HalfSpaceTrees) -> RecordCodec:
    leaves = 2**detector.height
    layout = Layout(
        channels=len(detector.channels),
        channel=(
            ("seen", "<i8"),
            ("mean", "<f8"),
            ("deviation", "<f8"),
            ("smallest", "<f8"),
            ("largest", "<f8"),
        ),
        device=(("filled", "<u4"), ("windows", "<u4")),
        counters=(
            Counters("current", (detector.n_trees, leaves)),
            Counters("reference", (detector.n_trees, 2 * leaves), start=leaves),
        ),
    )
    # The trees depend on the channels' limits, so a model is of no use where those are others.
    settings: dict[str, object] = {
        "n_trees": detector.n_trees,
        "height": detector.height,
        "window_size": detector.window_size,
        "seed": detector.seed,
        "limits": detector.limits
        if detector.limits == "learned"
        else [(c.minimum, c.maximum) for c in detector.channels],
    }
    names = channel_names(detector.channels)
    return RecordCodec(detector.name, settings_hash(settings), names, layout)
