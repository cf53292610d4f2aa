"""Read: any source as a splittable `DoFn` that gives batches of messages."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PBegin
from apache_beam.transforms.core import RestrictionProvider, WatermarkEstimatorProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Duration, Timestamp
from msgspec.structs import replace

from eddyline.io.durability import Durability
from eddyline.io.sources.lag import LAG
from eddyline.io.sources.open_readers import READERS
from eddyline.io.sources.progress import UNKNOWN, Progress, ProgressCoder
from eddyline.io.sources.second_call import SecondCall
from eddyline.io.sources.source import Clock, Polled, Reader, Source
from eddyline.io.sources.tracker import ProgressTracker
from eddyline.io.sources.until import Until

NAMESPACE = "source"
AGAIN = 0.5  # s between two looks whether all is acknowledged


@dataclass(frozen=True)
class Pace:
    """How a source is read, in seconds.

    Args:
        hold: Longest stay in one call while there is more to read: engines want to checkpoint.
        allowance: How long before its arrival a message's event time may be: the watermark is so
            far behind the arrival times.

    Raises:
        ValueError: One of them is negative.
    """

    hold: float = 0.5
    allowance: float = 10.0

    def __post_init__(self) -> None:
        for name in ("hold", "allowance"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")


@dataclass
class ReadSource(beam.PTransform):
    """Read a stream, as batches of messages.

    Guarantee: each message is in a batch, each partition's messages in their order; one comes
    twice only where the engine itself runs a bundle again, or the source delivers it again. A
    batch is stamped with its earliest arrival time less `pace.allowance`, and the watermark is
    never ahead of that of an unread message. A partition where nothing arrives does not hold it
    back. The stream has no end unless `until` sets one.

    Args:
        source: What to read.
        pace: How.
        until: When to end.
        clock: Seconds of a clock that only moves forward.
        durability: When a bundle is safe from being undone, and may be acknowledged.
    """

    source: Source
    pace: Pace = field(default_factory=Pace)
    until: Until = field(default_factory=Until)
    clock: Clock = time.monotonic
    durability: Durability = "bundle"

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, root: PBegin) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        poll: Poll
        if not self.source.acknowledges:
            poll = Poll(self.source, self.pace, self.until, self.clock)
        elif self.durability == "bundle":
            poll = PollAndAcknowledge(self.source, self.pace, self.until, self.clock)
        else:
            poll = PollAndAcknowledgeLater(self.source, self.pace, self.until, self.clock)
        batches: Any = (
            root
            | "Source" >> beam.Create([self.source.name], reshuffle=False)
            | "Poll" >> beam.ParDo(poll).with_output_types(pa.RecordBatch)
        )
        return batches


class Watermark(WatermarkEstimatorProvider):
    """A watermark that is set by hand; none yet is the earliest time."""

    def initial_estimator_state(self, _element: str, _restriction: Progress) -> Timestamp:
        """Nothing is known."""
        return MIN_TIMESTAMP

    def create_watermark_estimator(self, estimator_state: Timestamp) -> ManualWatermarkEstimator:
        """Go on from there."""
        return ManualWatermarkEstimator(estimator_state)


class Poll(beam.DoFn, RestrictionProvider):
    """Poll a source for a while, then hand on where it stands."""

    def __init__(self, source: Source, pace: Pace, until: Until, clock: Clock) -> None:
        self.source = source
        self.pace = pace
        self.until = until
        self.clock = clock

    def initial_restriction(self, _element: str) -> Progress:
        """Where reading begins."""
        return self.source.start()

    def split(self, _element: str, restriction: Progress) -> Iterable[Progress]:
        """Its parts that are read at the same time."""
        return self.source.lanes(restriction)

    def create_tracker(self, restriction: Progress) -> ProgressTracker:
        """A tracker for it."""
        return ProgressTracker(restriction)

    def restriction_coder(self) -> ProgressCoder:
        """How it is kept."""
        return ProgressCoder()

    def restriction_size(self, _element: str, restriction: Progress) -> float:
        """Partitions: what is unread is not known."""
        return float(max(1, len(restriction.active)))

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        _element: str,
        tracker: Any = beam.DoFn.RestrictionParam(),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(Watermark()),
    ) -> Iterator[TimestampedValue]:
        """Poll a source that keeps its messages."""
        yield from self.poll(tracker, watermark, None)

    def poll(
        self, tracker: Any, watermark: Any, finalizer: Any | None
    ) -> Iterator[TimestampedValue]:
        """Poll until nothing is at hand, or the time is over."""
        progress: Progress = tracker.current_restriction()
        leave = self.clock() + self.pace.hold
        key = (self.source, progress.lane)
        with READERS.lend(key, self._open) as reader:
            while True:
                if self.until.reached(progress):
                    if self._holds(reader, progress, finalizer):
                        tracker.defer_remainder(Duration(AGAIN))
                    else:
                        tracker.try_claim(replace(progress, done=True))
                    return
                polled = reader.poll(progress)
                if not tracker.try_claim(polled.progress):
                    return
                progress = polled.progress
                if finalizer is not None and polled.acknowledge is not None:
                    finalizer.register(polled.acknowledge)
                for batch in polled.batches:
                    yield TimestampedValue(batch, self._stamp(_earliest(batch)))
                self._advance(watermark, progress)
                self._report(polled)
                if progress.done:
                    return
                if polled.wait > 0 or self.clock() >= leave:
                    tracker.defer_remainder(Duration(polled.wait))
                    return

    def _open(self) -> Reader:
        return self.source.open(self.clock)

    def _holds(self, _reader: Any, _progress: Progress, _finalizer: Any) -> bool:
        """Whether something is still to be acknowledged, for which the end waits."""
        return False

    def _stamp(self, micros: int) -> Timestamp:
        return Timestamp(micros=micros - round(self.pace.allowance * 1_000_000))

    def _advance(self, watermark: Any, progress: Progress) -> None:
        if progress.seen > UNKNOWN:
            to = self._stamp(progress.seen)
            if to > watermark.current_watermark():
                watermark.set_watermark(to)

    def _report(self, polled: Polled) -> None:
        if polled.behind:
            behind = Metrics.distribution(NAMESPACE, "behind_ms")
            for milliseconds in polled.behind:
                behind.update(milliseconds)
            LAG.say(self.source.name, max(polled.behind))


class PollAndAcknowledge(Poll):
    """Poll a source that forgets what was acknowledged, and acknowledge what was committed.

    A class of its own because a bundle finalizer keeps an engine from reusing its workers.
    """

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        _element: str,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,  # before the others, else Beam fails
        tracker: Any = beam.DoFn.RestrictionParam(),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(Watermark()),
    ) -> Iterator[TimestampedValue]:
        """Poll it."""
        # Prism finalizes each bundle, and Beam's worker logs an error for one without a callback.
        finalizer.register(_nothing)
        yield from self.poll(tracker, watermark, finalizer)


class PollAndAcknowledgeLater(PollAndAcknowledge):
    """The same where a bundle may be undone after the engine has called for it: see `SecondCall`.

    A source that ends has all of its messages acknowledged before.
    """

    def _open(self) -> Reader:
        reader: Any = super()._open()
        return SecondCall(reader)

    def _holds(self, reader: Any, progress: Progress, finalizer: Any) -> bool:
        held = reader.keep(progress)
        if held:
            finalizer.register(reader.call())
        return held


def _nothing() -> None:
    """A bundle in which nothing is to be acknowledged."""


def _earliest(batch: pa.RecordBatch) -> int:
    return np.min(batch.column("arrival_time").cast(pa.int64()).to_numpy()).item()
