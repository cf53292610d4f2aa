"""Stream time: how far the whole stream has come, told to every shard."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.coders import Coder, TupleCoder, VarIntCoder
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints.decorators import with_input_types, with_output_types
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from numpy.typing import NDArray

from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.shard import split_by_shard

Fed = tuple[int, tuple[int, pa.RecordBatch]]
"""Shard, stream time (NEVER where it is not told), and readings or commands."""
TICK = 15_000_000
"""Microseconds of stream time after which a shard without readings is told, too."""


class KeyByShard(beam.DoFn):
    """Split each batch by shard, and tell every shard how far the stream has come.

    Stream time is the latest event time that this worker has seen, as far as it is `believed`. A
    shard learns it with its own readings; one without any gets an empty batch whenever stream time
    is 15 s past what it was told last: how else could a shard of one device notice that it is
    silent?

    Args:
        shards: Number of shards.
    """

    def __init__(self, shards: int) -> None:
        self.shards = shards

    def setup(self) -> None:
        """Begin with nothing told."""
        self._newest = NEVER
        self._stamp = MIN_TIMESTAMP
        self._told = np.full(self.shards, NEVER)

    def process(self, readings: pa.RecordBatch) -> Iterator[Any]:
        """Split one batch; its parts are stamped so that none overtakes one that came before it.

        Prism hands over what waits for a key in the order of its stamps. A batch with one row that
        is late or repeated would come before all that wait, and theirs would be late; so a stamp is
        never before an earlier one. Nor is it after the batch's first row that is in time: minutes
        of old event times would be late at once if the time of arrival were the stamp.
        """
        if not readings.num_rows:
            return
        time = believed(readings)
        self._newest = newest = max(self._newest, int(time.max()))
        now = self._stamp = max(self._stamp, Timestamp(micros=int(time.min())))
        for shard, part in split_by_shard(readings, self.shards):
            self._told[shard] = newest
            yield TimestampedValue((shard, (newest, part)), now)
        for shard in np.flatnonzero(newest - TICK >= self._told).tolist():
            self._told[shard] = newest
            yield TimestampedValue((shard, (newest, readings.slice(0, 0))), now)


def believed(readings: pa.RecordBatch) -> NDArray[np.int64]:
    """Each reading's event time, but none after its arrival: what it says of the stream's time.

    One device's clock may be ahead by minutes. Were it believed, the others would seem behind; and
    Prism would hold its whole shard until the watermark came there.
    """
    event, arrival = (
        readings.column(name).cast(pa.int64()).to_numpy() for name in ("event_time", "arrival_time")
    )
    return np.minimum(event, arrival)


Span = tuple[int, int]
"""The earliest and the latest event time."""
EMPTY: Span = (NEVER, NEVER)


def span_of(readings: pa.RecordBatch) -> Span:
    """The span of a batch; EMPTY of one without rows."""
    if not readings.num_rows:
        return EMPTY
    time = believed(readings)
    return int(time.min()), int(time.max())


def together(spans: Iterable[Span]) -> Span:
    """The span that covers them all.

    Example:
        >>> together([(3, 5), EMPTY, (1, 2)])
        (1, 5)
    """
    seen = [span for span in spans if span != EMPTY]
    return (min(a for a, _ in seen), max(b for _, b in seen)) if seen else EMPTY


@dataclass
class StreamTime(beam.PTransform):
    """The span of a bounded stream, as a side input: one value, EMPTY of an empty stream."""

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, readings: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[Span]:
        """Wire it."""
        # By a number, because Beam's global combine keys by None and pickles that.
        spans: Any = (
            readings
            | "Span" >> beam.ParDo(SpanOf()).with_output_types(tuple[int, Span])
            | "Cover" >> beam.CombinePerKey(CoverSpans())
            | "Drop key" >> beam.Values().with_output_types(Span)
        )
        return spans


class SpanOf(beam.DoFn):
    """The span of each batch, under one key."""

    def process(self, readings: pa.RecordBatch) -> Iterator[tuple[int, Span]]:
        """Take one batch."""
        yield 0, span_of(readings)


# Beam reads no annotations of a CombineFn; untold, the times would cross to the next step pickled.
@with_input_types(Span)
@with_output_types(Span)
class CoverSpans(beam.CombineFn):
    """Wires `together`."""

    def create_accumulator(self) -> Span:
        """Nothing seen."""
        return EMPTY

    def add_input(self, accumulator: Span, span: Span) -> Span:
        """See one more."""
        return together((accumulator, span))

    def merge_accumulators(self, accumulators: Iterable[Span]) -> Span:
        """See what all have seen."""
        return together(accumulators)

    def extract_output(self, accumulator: Span) -> Span:
        """The span."""
        return accumulator

    def get_accumulator_coder(self) -> Coder:
        """Two numbers, not a pickle."""
        return TupleCoder((VarIntCoder(), VarIntCoder()))
