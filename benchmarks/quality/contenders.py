"""The detectors that are compared, each with one configuration for all sets.

Ours go through the `Detector` protocol as the job uses it; of the density detector's scores and
alarms, windows are judged by records of its event score and by its event alarm. River's have
one score a row, and no say about alarms except by its `QuantileFilter`, so that is what they get.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from river import anomaly, preprocessing, stats

from benchmarks.quality.metrics import new_alarms
from benchmarks.quality.novelty import novelty
from benchmarks.quality.sets import Device
from benchmarks.quality.windowed_gaussian import windowed_gaussian
from eddyline.detectors.channel import Channel
from eddyline.detectors.density.detector import Density
from eddyline.detectors.density.signs import Alarm
from eddyline.detectors.half_space_trees import HalfSpaceTrees
from eddyline.detectors.moving_average import MovingAverage
from eddyline.detectors.protocol import Detector, Verdict

Floats = NDArray[np.float64]
Row = dict[Hashable, float]
"""Channel name to value, as River takes it; a missing value is a missing key."""

BATCH = 10_000
"""Rows of one call: explanations of a batch are dropped before the next."""
ALARM_QUANTILE = 0.995
"""River's scores alarm above this quantile of the scores so far."""


class Unavailable(Exception):
    """A detector cannot be made for a set; the message says why."""


class Outputs(NamedTuple):
    """What a detector said about one device, a value a row."""

    condition: Floats
    """This row is part of a fault: for labels on rows."""
    event: Floats
    """Something new happens now. Is `condition` itself where there is one score."""
    table: Floats
    """How rare this row is where the order of rows says nothing. `condition` where there is one
    score."""
    novelty: Floats
    """What a threshold makes detections of, for windows (NAB); NaN is none."""
    alarm: NDArray[np.bool_]
    """An alarm is on, at the fixed threshold."""
    detection: NDArray[np.bool_]
    """What counts as a detection for windows, at the fixed threshold."""


class Contender(Protocol):
    """One detector with its configuration."""

    @property
    def name(self) -> str:
        """How the tables call it."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds to run with; one where the detector has none or is too slow for more."""
        ...

    @property
    def gates(self) -> bool:
        """Whether a regression of it fails the run."""
        ...

    def observe(self, channels: tuple[Channel, ...], device: Device, seed: int) -> Outputs:
        """Score, then learn, each row of one device with a fresh model.

        Raises:
            Unavailable: The detector cannot be made.
        """
        ...


@dataclass(frozen=True)
class Ours:
    """A detector of this package."""

    name: str
    seeds: tuple[int, ...]
    make: Callable[[tuple[Channel, ...], int], Detector]
    """Of the channels and a seed."""
    gates: bool = True

    def observe(self, channels: tuple[Channel, ...], device: Device, seed: int) -> Outputs:
        """See `Contender.observe`."""
        detector = self.make(channels, seed)
        state = detector.new(1)
        rows = len(device.event_time)
        event = np.empty(rows)
        condition = np.empty(rows)
        table = np.empty(rows)
        alarm = np.empty(rows, np.bool_)
        unready = np.empty(rows, np.bool_)
        happened = np.zeros(rows, np.bool_)
        extras = frozenset[str]()
        for start in range(0, rows, BATCH):
            part = slice(start, min(start + BATCH, rows))
            numbers = np.zeros(part.stop - part.start, np.int32)
            answer = detector.observe(state, numbers, device.event_time[part], device.values[part])
            extras = frozenset(answer.extras)
            event[part] = answer.extras.get("event", answer.score)
            condition[part] = answer.extras.get("condition", answer.score)
            table[part] = answer.extras.get("novelty", condition[part])
            alarm[part] = answer.verdict == Verdict.ANOMALY
            unready[part] = answer.verdict == Verdict.WARM_UP
            if "alarm" in extras:
                happened[part] = (answer.extras["alarm"].astype(np.uint8) & Alarm.EVENT) > 0
        if not {"event", "condition", "alarm"} <= extras:
            return Outputs(condition, condition, condition, condition, alarm, new_alarms(alarm))
        records = novelty(event, device.event_time)
        records[unready] = np.nan
        return Outputs(condition, event, table, records, alarm, happened)


class RowScorer(Protocol):
    """One device's model: learns a row, and says beforehand how odd it is."""

    def score(self, row: Row) -> float:
        """Return the score of a row, higher is odder."""
        ...

    def learn(self, row: Row) -> None:
        """Learn the row."""
        ...


class _GaussianEachChannel:
    """River's `GaussianScorer` is for one value; a device scores as its oddest channel."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._scorers: dict[Hashable, Any] = {name: anomaly.GaussianScorer() for name in names}

    def score(self, row: Row) -> float:
        return max((self._scorers[name].score_one(None, x) for name, x in row.items()), default=0.0)

    def learn(self, row: Row) -> None:
        for name, value in row.items():
            self._scorers[name].learn_one(None, value)


class _ScaledLoda:
    """LODA's projections add channels, so they are brought to one scale first."""

    def __init__(self, seed: int) -> None:
        self._scaler = preprocessing.StandardScaler()
        self._loda = anomaly.LODA(seed=seed)

    def score(self, row: Row) -> float:
        return self._loda.score_one(self._scaler.transform_one(row))

    def learn(self, row: Row) -> None:
        self._scaler.learn_one(row)
        self._loda.learn_one(self._scaler.transform_one(row))


def _rows(channels: tuple[Channel, ...], values: Floats) -> Iterator[Row]:
    names = [channel.name for channel in channels]
    for row in values.tolist():
        yield {name: value for name, value in zip(names, row, strict=True) if value == value}


@dataclass(frozen=True)
class Rivers:
    """A model of River, row by row."""

    name: str
    seeds: tuple[int, ...]
    make: Callable[[tuple[str, ...], int], RowScorer]
    gates: bool = False

    def observe(self, channels: tuple[Channel, ...], device: Device, seed: int) -> Outputs:
        """See `Contender.observe`."""
        model = self.make(tuple(channel.name for channel in channels), seed)
        limit: stats.Quantile = stats.Quantile(ALARM_QUANTILE)
        rows = len(device.event_time)
        score = np.empty(rows)
        alarm = np.empty(rows, np.bool_)
        for number, row in enumerate(_rows(channels, device.values)):
            score[number] = found = model.score(row)
            # `QuantileFilter.classify` is the same; itself it would score each row a second time.
            alarm[number] = found >= (limit.get() or math.inf)
            limit.update(found)
            model.learn(row)
        return Outputs(score, score, score, score, alarm, new_alarms(alarm))


@dataclass(frozen=True)
class NabsGaussian:
    """NAB's Windowed Gaussian: one channel only, as the check that NAB is scored right."""

    name: str = "windowed_gaussian"
    seeds: tuple[int, ...] = (0,)
    gates: bool = True

    def observe(self, channels: tuple[Channel, ...], device: Device, seed: int) -> Outputs:  # noqa: ARG002
        """See `Contender.observe`."""
        if len(channels) > 1:
            raise Unavailable("windowed_gaussian: for one channel")
        score = windowed_gaussian(device.values[:, 0])
        reached = score >= 1.0
        return Outputs(score, score, score, score, reached, reached)


SEEDS = (42, 43, 44, 45, 46)


def _density(channels: tuple[Channel, ...], seed: int) -> Detector:
    return Density(channels, seed=seed)


def _half_space_trees(channels: tuple[Channel, ...], seed: int) -> Detector:
    return HalfSpaceTrees(channels, seed=seed, limits="learned")


def _moving_average(channels: tuple[Channel, ...], seed: int) -> Detector:  # noqa: ARG001
    return MovingAverage(channels)


def _gaussian(names: tuple[str, ...], seed: int) -> RowScorer:  # noqa: ARG001 - it has none
    return _GaussianEachChannel(names)


def _loda(names: tuple[str, ...], seed: int) -> RowScorer:  # noqa: ARG001 - learned from the rows
    return _ScaledLoda(seed)


CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in (
        Ours("density", SEEDS, _density),
        Ours("half_space_trees", SEEDS, _half_space_trees),
        Ours("moving_average", (0,), _moving_average),
        Rivers("river_gaussian", (0,), _gaussian),
        Rivers("river_loda", (42,), _loda),
        NabsGaussian(),
    )
}
"""By name, in the order of the tables."""
