"""Summarize: each device's minute in numbers, revised when late readings come."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import coders
from apache_beam.coders import BytesCoder
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
)
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue
from apache_beam.typehints.decorators import with_input_types, with_output_types
from apache_beam.utils.timestamp import Timestamp

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.channel import Channel
from eddyline.schemas.record import Contract
from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.counts import count
from eddyline.transforms.minutes.minute_rows import Told, minute_rows
from eddyline.transforms.minutes.minute_sums import steps_of
from eddyline.transforms.minutes.partial import NO_SUMS, by_minute, merged, partial_sums, sums_of

Keyed = tuple[int, pa.RecordBatch]
MAX_ROWS = 16_384


@dataclass
class Summarize(beam.PTransform):
    """Sum up each device's minute: count, mean, min, max, deviation, first and last by channel.

    Guarantee: a minute's numbers depend on its readings alone, bit for bit, not on their order,
    batches or shards. A reading up to `allowed_lateness` behind the watermark writes its minute
    anew with the next revision; only devices that changed are written. A minute without readings
    has no row. A bounded job sees every reading before it writes: revision 0 only.

    Args:
        contract: The declared channels.
        allowed_lateness: Seconds.
        early: Seconds of processing time after which an open minute is told early; 0 for never.
        streaming: Whether panes can come more than once.

    Counter: `minutes`.
    """

    contract: Contract
    allowed_lateness: int = 3600
    early: int = 0
    streaming: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if self.allowed_lateness < 0:
            raise ValueError(f"allowed_lateness must not be negative: {self.allowed_lateness}")
        if self.early < 0:
            raise ValueError(f"early must not be negative: {self.early}")

    def expand(self, unique: beam.PCollection[Keyed]) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        if not self.streaming:
            # A shard's readings are all in one batch: there is nothing to merge or to wait for.
            summed: Any = unique | "Sum up" >> beam.ParDo(SumUp(self.contract)).with_output_types(
                pa.RecordBatch
            )
            return summed
        minutes: Any = (
            unique
            | "Sum in the batch" >> beam.ParDo(PartialSums(self.contract)).with_output_types(Keyed)
            | "Minute windows" >> self._windows()
            | "Merge minutes" >> beam.CombinePerKey(MergeMinutes())
            | "Number revisions"
            >> beam.ParDo(NumberRevisions(self.contract)).with_output_types(pa.RecordBatch)
            | "Leave the windows" >> beam.WindowInto(GlobalWindows())
        )
        return minutes

    def _windows(self) -> beam.WindowInto:
        early = AfterProcessingTime(self.early) if self.early else None
        return beam.WindowInto(
            FixedWindows(60),
            trigger=AfterWatermark(early=early, late=AfterCount(1)),
            accumulation_mode=AccumulationMode.ACCUMULATING,
            allowed_lateness=self.allowed_lateness,
        )


class PartialSums(beam.DoFn):
    """Sum a batch's readings by minute before anything is shuffled.

    Each minute is stamped with its own time: with its batch's one time it would share the fate of
    the batch's latest reading.
    """

    def __init__(self, contract: Contract) -> None:
        self.channels = contract.channels

    def setup(self) -> None:
        """Take the channels' steps."""
        self.steps = steps_of(self.channels)

    def process(self, element: Keyed) -> Iterator[Any]:
        """Sum one batch."""
        shard, readings = element
        for minute, one in by_minute(partial_sums(readings, self.channels, self.steps)):
            yield TimestampedValue((shard, one), Timestamp(micros=minute))


class PartsCoder(coders.Coder):
    """Parts, merged, as one Arrow batch."""

    def encode(self, value: list[pa.RecordBatch]) -> bytes:
        """The merged part's bytes; none for no parts."""
        return RecordBatchCoder().encode(merged(value)) if value else b""

    def decode(self, encoded: bytes) -> list[pa.RecordBatch]:
        """The merged part, as a list of one."""
        return [RecordBatchCoder().decode(encoded)] if encoded else []

    def is_deterministic(self) -> bool:
        """The merge is exact and ordered by device."""
        return True


# Beam reads no annotations of a CombineFn; untold, the sums would cross to the next step pickled.
@with_input_types(pa.RecordBatch)
@with_output_types(pa.RecordBatch)
class MergeMinutes(beam.CombineFn):
    """Merge partial sums of one shard; exact, so in any order."""

    def create_accumulator(self) -> list[pa.RecordBatch]:
        """No parts."""
        return []

    def add_input(
        self, accumulator: list[pa.RecordBatch], part: pa.RecordBatch
    ) -> list[pa.RecordBatch]:
        """Keep one more part."""
        accumulator.append(part)
        return accumulator

    def merge_accumulators(
        self, accumulators: Iterable[list[pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        """Keep the parts of all."""
        return [part for accumulator in accumulators for part in accumulator]

    def compact(self, accumulator: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
        """One part in place of several."""
        return [merged(accumulator)] if len(accumulator) > 1 else accumulator

    def extract_output(self, accumulator: list[pa.RecordBatch]) -> pa.RecordBatch:
        """The sums; without rows for an empty pane."""
        return merged(accumulator) if accumulator else NO_SUMS

    def get_accumulator_coder(self) -> coders.Coder:
        """Arrow, not pickle."""
        return PartsCoder()


class _Rows(beam.DoFn):
    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def setup(self) -> None:
        """Take what rows are made from."""
        self.channels: tuple[Channel, ...] = self.contract.channels
        self.steps = steps_of(self.channels)
        self.schema = arrow_schema(self.contract.record("minute"))

    def rows(self, part: pa.RecordBatch, revision: list[int]) -> pa.RecordBatch:
        count("minutes", part.num_rows)
        return minute_rows(part, revision, self.channels, self.steps, self.schema)


class NumberRevisions(_Rows):
    """Number each device's revisions of a minute; a repeated or empty pane says nothing."""

    TOLD = ReadModifyWriteStateSpec("told", BytesCoder())

    def process(
        self,
        element: Keyed,
        state: Any = beam.DoFn.StateParam(TOLD),
    ) -> Iterator[pa.RecordBatch]:
        """Take one pane of one shard's minute."""
        _, part = element
        if not part.num_rows:
            return
        told = Told(state.read())
        devices, _ = sums_of(part)
        revisions = told.revise(part.column("device_id").to_pylist(), devices["readings"].tolist())
        changed = [row for row, revision in enumerate(revisions) if revision is not None]
        if changed:
            state.write(told.encode())
            yield self.rows(part.take(pa.array(changed)), [r for r in revisions if r is not None])


class SumUp(_Rows):
    """The minutes of a bounded job: all of a shard's readings are in the one batch."""

    def process(self, element: Keyed) -> Iterator[pa.RecordBatch]:
        """Sum up one shard."""
        _, readings = element
        part = partial_sums(readings, self.channels, self.steps)
        for start in range(0, part.num_rows, MAX_ROWS):
            some = part.slice(start, MAX_ROWS)
            yield self.rows(some, [0] * some.num_rows)
