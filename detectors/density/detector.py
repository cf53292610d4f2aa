"""The default detector, behind the protocol that all detectors share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import told as t
from eddyline.detectors.density.explain import explain
from eddyline.detectors.density.kernel import observe
from eddyline.detectors.density.leaves import Leaves, lay_out
from eddyline.detectors.density.mass import make_room
from eddyline.detectors.density.rebaseline import rebaseline
from eddyline.detectors.density.recipe_1 import decode_recipe_1
from eddyline.detectors.density.signs import EVENT
from eddyline.detectors.density.state import DEVICE, FORESTS, lay_out_state
from eddyline.detectors.forest import build_forest
from eddyline.detectors.protocol import RecordRefused, Scores, Verdict
from eddyline.detectors.record import FRAME, HASH_BYTES, RecordCodec, channel_names, settings_hash
from eddyline.detectors.rows import check_rows
from eddyline.detectors.thresholds import resolve_thresholds

MOST_CHANNELS = 255
BOUNDED_CHANNELS = 3
LARGEST_RECORD = 2048
SLACK = 48
"""Bytes that the masses can grow between two looks at their size."""
RECIPE = 2
"""Of what is learned. Records of recipe 1 are read too; those of a later one are refused."""


@dataclass(frozen=True)
class Density:
    """Leaf densities of Half-Space Trees in bits, on features in which faults show.

    Two scores, because they need opposite memories: `event` (something new happens now; a burst is
    told once) and `condition` (this reading is part of a fault; a burst does not become normal).
    Six alarms come from them and from slow heads, see `signs.Alarm`. The number of an
    operator, `Scores.score`, is the condition; in a reading that is an ANOMALY by its event alone
    it is the larger of both, so that an alarm never shows a small number beside it.

    A missing channel teaches nothing and is taken to stand where it was last seen; one that appears
    later warms up by itself. A reading without any channel is UNSCORED.

    Args:
        channels: What the columns of the readings are, 1 to 255. Their limits play no part.
        event_threshold: Bits of a new event that alarm.
        condition_threshold: Bits of a condition that alarm; the alarm ends 2 bits lower.
        persistence_threshold: Summed bits of a long, low fault that alarm.
        warm_up: Readings of a device, and of a channel, before it is judged.
        n_trees: Number of trees of each of the three forests.
        height: Splits between the root and a leaf, 3 to 6.
        seed: Of the trees.

    Raises:
        ValueError: A setting is out of its range.

    Examples:
        >>> detector = Density((Channel("temperature", -40.0, 85.0, unit="°C"),))
        >>> fleet = detector.new(devices=1)
        >>> celsius = np.round(20.0 + 0.1 * np.sin(np.arange(401.0))[:, None], 2)
        >>> celsius[400] = 6.5
        >>> minutes = np.arange(401) * 60_000_000
        >>> scores = detector.observe(fleet, np.zeros(401, np.int32), minutes, celsius)
        >>> [Verdict(scores.verdict[row]).name for row in (0, 399, 400)]
        ['WARM_UP', 'NORMAL', 'ANOMALY']
        >>> scores.explanations[400].channels, len(detector.encode(fleet, 0)) < 2048
        (('temperature',), True)
    """

    name: ClassVar[str] = "density"
    kinds: ClassVar[tuple[str, ...]] = ("event", "condition")

    channels: tuple[Channel, ...]
    event_threshold: float = 1.7
    condition_threshold: float = 9.0
    persistence_threshold: float = 20.0
    warm_up: int = 300
    n_trees: int = 10
    height: int = 6
    seed: int = 42

    def __post_init__(self) -> None:
        for setting, value, low, high in (
            ("channels", len(self.channels), 1, MOST_CHANNELS),
            ("event_threshold", self.event_threshold, 0.0, 64.0),
            ("condition_threshold", self.condition_threshold, 1.0, 64.0),
            ("persistence_threshold", self.persistence_threshold, 1.0, 1e6),
            ("warm_up", self.warm_up, 100, 1_000_000),
            ("n_trees", self.n_trees, 1, 100),
            ("height", self.height, 3, 6),
        ):
            if not low <= value <= high:
                raise ValueError(f"density: {setting}: {value} is not {low} to {high}")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Bits of an event, and of a condition, that alarm."""
        return self.event_threshold, self.condition_threshold

    def new(self, devices: int) -> NDArray[Any]:
        """Return fresh models, one row a device; all zero."""
        return _codec(self).layout.new(devices)

    def observe(
        self,
        state: NDArray[Any],
        device: NDArray[np.int32],
        event_time: NDArray[np.int64],
        values: NDArray[np.float64],
        thresholds: NDArray[np.float64] | None = None,
    ) -> Scores:
        """Score each reading by what was learned before it, then learn it.

        `extras` holds `event`, `condition` and `novelty`, in bits, also during the warm-up (NaN
        where UNSCORED), and `alarm`, the bits of `signs.Alarm`. `novelty` ranks rows whose order
        says nothing (a table, not a sensor); no alarm comes from it. An event time of
        `season.NO_TIME` (NaT) means that the readings have none: then there is no season.

        A device's own condition threshold is for all signs of a condition: twice the bits is also
        twice as much noise or distance, and twice the persistence.

        Raises:
            ValueError: The shapes do not agree, or a device is not a row of `state`.
        """
        rows = check_rows(state, device, event_time, values, self.channels)
        count = len(rows.device)
        event, condition, novelty = np.empty(count), np.empty(count), np.empty(count)
        verdict = np.empty(count, np.uint8)
        signs, named = np.empty(count, np.uint8), np.empty(count, np.uint8)
        # Written for anomalies only, so of these pages few are ever touched.
        told = np.empty((count, len(self.channels), t.COLUMNS))
        limits = np.array(
            [
                self.condition_threshold,
                self.persistence_threshold,
                self.warm_up,
                _room(len(self.channels), self.n_trees, self.height),
            ]
        )
        observe(
            rows.device,
            rows.event_time,
            rows.values,
            state["device"].view(DEVICE),
            state["channel"],
            state["mass"],
            *_leaves(len(self.channels), self.n_trees, self.height, self.seed),
            limits,
            resolve_thresholds(self.thresholds, thresholds, len(state)),
            verdict,
            event,
            condition,
            novelty,
            signs,
            named,
            told,
        )
        anomaly = verdict == Verdict.ANOMALY
        score = np.where(verdict == Verdict.WARM_UP, np.nan, condition)
        np.maximum(score, event, out=score, where=anomaly & (signs == EVENT))
        explanations = {
            row: explain(self.channels, told[row], int(signs[row]), int(named[row]))
            for row in np.flatnonzero(anomaly).tolist()
        }
        alarms = ((signs & EVENT) | (signs > EVENT) * 2).astype(np.uint8)
        return Scores(
            score,
            verdict,
            alarms,
            explanations,
            {
                "event": event,
                "condition": condition,
                "novelty": novelty,
                "alarm": signs.astype(np.float64),
            },
        )

    def rebaseline(self, state: NDArray[Any], row: int) -> None:
        """Move the references of one device to its last values; its alarms end, its forests stay.

        Raises:
            IndexError: The fleet has no such row.
        """
        rebaseline(state["channel"][row], state["device"].view(DEVICE)[row])

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return one device's model as a record; up to 3 channels take at most 2,048 bytes."""
        return _codec(self).encode(state, row)

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all."""
        return _codec(self).encode_many(state, rows)

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row from a record.

        A record of other channels keeps what the common ones learned; the forests, which see all
        channels at once, and new channels start afresh.

        Raises:
            RecordRefused: With the reason; the row is then fresh.
        """
        for refusal in self.decode_many((record,), state, (row,)).values():
            raise refusal

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows, or the first ones; returns the refusals by position in `records`."""
        codec = _codec(self)
        refused = codec.decode_many(records, state, rows)
        chosen = np.arange(len(records)) if rows is None else np.asarray(rows, np.int64)
        device = state["device"].view(DEVICE)
        room = _room(len(self.channels), self.n_trees, self.height)
        for place in [place for place, refusal in refused.items() if refusal.reason == "settings"]:
            try:
                decode_recipe_1(
                    records[place], state, int(chosen[place]), codec, _settings(self, recipe=1)
                )
            except RecordRefused:
                continue
            del refused[place]
            for _ in range(FORESTS):
                make_room(state["mass"][chosen[place]], device["learned"][chosen[place]], room)
        # A record of other channels brings no masses: then nothing may claim to be learned.
        empty = chosen[~state["mass"][chosen].any(axis=(1, 2, 3))]
        device["learned"][empty] = 0
        return refused


@lru_cache(maxsize=64)
def _leaves(channels: int, n_trees: int, height: int, seed: int) -> Leaves:
    names = tuple(f"{number:03d}" for number in range(2 * channels))
    forest = build_forest(
        names, ((0.0, 1.0),) * len(names), n_trees=n_trees, height=height, seed=seed
    )
    return lay_out(forest, len(names))


@lru_cache(maxsize=64)
def _room(channels: int, n_trees: int, height: int) -> float:
    """Bytes that the masses of a record may take; no limit where there are more channels."""
    if channels > BOUNDED_CHANNELS:
        return math.inf
    plain = lay_out_state(channels, n_trees, height).plain
    header = FRAME.size + HASH_BYTES + 1 + len(Density.name) + 2 + 4 * channels
    return LARGEST_RECORD - SLACK - plain - header


def _settings(detector: Density, recipe: int) -> bytes:
    return settings_hash(
        {
            "recipe": recipe,
            "n_trees": detector.n_trees,
            "height": detector.height,
            "seed": detector.seed,
        }
    )


@lru_cache(maxsize=64)
def _codec(detector: Density) -> RecordCodec:
    return RecordCodec(
        detector=detector.name,
        settings=_settings(detector, RECIPE),
        channels=channel_names(detector.channels),
        layout=lay_out_state(len(detector.channels), detector.n_trees, detector.height),
        keep_channels=True,
    )
