"""Watch: one fleet a shard, over the shard's readings in the order of their arrival."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints.decorators import IOTypeHints
from apache_beam.utils.timestamp import Timestamp
from xxhash import xxh3_64_intdigest

from eddyline.detectors.protocol import Detector
from eddyline.schemas.record import Contract
from eddyline.transforms.counts import count
from eddyline.transforms.decode import earliest
from eddyline.transforms.fleet import END_OF_TIME, Fleet, Watched
from eddyline.transforms.fleet_codec import decode_fleet, encode_fleet

CHUNK = 8_192
CACHED_FLEETS = 256
TIMER_STEP = 1_000_000

Keyed = tuple[int, pa.RecordBatch]


class WatchedOutputs(NamedTuple):
    """What `Watch` gives.

    Args:
        unique: Readings seen for the first time, keyed by shard, at once, with the columns that
            minutes are made of; of a bounded job all of a shard's readings in one batch.
        scored: Readings with verdict and score, when they are in order.
        anomalies: The anomalies among them, explained.
    """

    unique: beam.PCollection[Keyed]
    scored: beam.PCollection[pa.RecordBatch]
    anomalies: beam.PCollection[pa.RecordBatch]


@dataclass(frozen=True)
class FleetSettings:
    """What every shard's fleet is made of; see `Fleet`."""

    contract: Contract
    detector: Detector
    disorder: int = 10_000_000
    remember: int = 64

    def __post_init__(self) -> None:
        if self.disorder < 0:
            raise ValueError(f"disorder must not be negative: {self.disorder}")
        if self.remember < 1:
            raise ValueError(f"remember must be at least 1, not {self.remember}")

    def new_fleet(self) -> Fleet:
        """A fleet without devices."""
        return Fleet(self.contract, self.detector, self.disorder, self.remember)


def shard_of(device: str, shards: int) -> int:
    """The shard of a device: the same in every process, release and engine.

    Example:
        >>> shard_of("boiler-7", 16)
        0
    """
    return xxh3_64_intdigest(device.encode()) % shards


def split_by_shard(readings: pa.RecordBatch, shards: int) -> Iterator[Keyed]:
    """The batch's rows by shard; rows of one shard keep their order."""
    encoded = readings.column("device_id").dictionary_encode()
    of_device = np.array([shard_of(d, shards) for d in encoded.dictionary.to_pylist()], np.int32)
    shard = of_device[encoded.indices.to_numpy()]
    order = np.argsort(shard, kind="stable")
    grouped = readings.take(pa.array(order))
    present, starts = np.unique(shard[order], return_index=True)
    bounds = [*starts.tolist(), len(order)]
    for key, (start, end) in zip(present.tolist(), pairwise(bounds), strict=True):
        yield key, grouped.slice(start, end - start)


@dataclass
class Watch(beam.PTransform):
    """Order, deduplicate and score each device's readings.

    Guarantee: see `Fleet`. A streaming job keeps each shard's fleet in state and reads in the order
    of arrival; event-time timers release what waits. A bounded job folds the same fleet over each
    shard's readings, sorted by arrival, since batch engines hand them over in any order. Both give
    the same rows. A killed worker loses and doubles nothing.

    The number of shards is part of a running job's state and cannot change under it.

    Counters: `readings`, `duplicates`, `late_readings`, `anomalies`, `models_refused`.
    """

    settings: FleetSettings
    shards: int = 16
    streaming: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, not {self.shards}")

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for several outputs and would warn of ours."""
        return IOTypeHints.empty()

    def expand(self, readings: beam.PCollection[pa.RecordBatch]) -> WatchedOutputs:
        """Wire it."""
        keyed: Any = readings | "Key by shard" >> beam.ParDo(
            KeyByShard(self.shards)
        ).with_output_types(Keyed)
        if self.streaming:
            outputs = keyed | "Watch shard" >> _tagged(WatchShard(self.settings))
        else:
            outputs = (
                keyed
                | "Collect shard" >> beam.GroupByKey()
                | "Fold shard" >> _tagged(FoldShard(self.settings))
            )
        return WatchedOutputs(outputs.unique, outputs.scored, outputs.anomalies)


def _tagged(watch: beam.DoFn) -> Any:
    return (
        beam.ParDo(watch)
        .with_output_types(pa.RecordBatch, unique=Keyed, anomalies=pa.RecordBatch)
        .with_outputs("unique", "anomalies", main="scored")
    )


class KeyByShard(beam.DoFn):
    """Split each batch by shard."""

    def __init__(self, shards: int) -> None:
        self.shards = shards

    def process(self, readings: pa.RecordBatch) -> Iterator[Any]:
        """Split one batch; each part is stamped with its own earliest event time."""
        for keyed in split_by_shard(readings, self.shards):
            yield TimestampedValue(keyed, earliest(keyed[1], "event_time"))


class WatchShard(beam.DoFn):
    """The streaming form: the shard's fleet is one state value of bytes."""

    FLEET = ReadModifyWriteStateSpec("fleet", BytesCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings

    def setup(self) -> None:
        """Begin with no decoded fleet."""
        # Decoding costs more than a bundle's readings; the state's own bytes say whether what this
        # worker decoded or wrote last is still what the engine holds.
        self._decoded: OrderedDict[int, tuple[int, Fleet]] = OrderedDict()

    def process(
        self,
        element: Keyed,
        state: Any = beam.DoFn.StateParam(FLEET),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """Take one batch of the shard."""
        shard, readings = element
        fleet = self._read(shard, state)
        watched = fleet.observe(readings)
        self._write(shard, fleet, state, due)
        yield from _scored(watched)
        yield from _unique(shard, _summed(watched, fleet))

    @on_timer(DUE)
    def release(
        self,
        shard: Any = beam.DoFn.KeyParam,
        timestamp: Any = beam.DoFn.TimestampParam,
        state: Any = beam.DoFn.StateParam(FLEET),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """The watermark has come to where something that waits is due."""
        fleet = self._read(shard, state)
        watched = fleet.advance(timestamp.micros)
        self._write(shard, fleet, state, due)
        yield from _scored(watched)

    def _read(self, shard: int, state: Any) -> Fleet:
        encoded = state.read()
        if encoded is None:
            return self.settings.new_fleet()
        digest, fleet = self._decoded.pop(shard, (None, None))
        if fleet is None or digest != xxh3_64_intdigest(encoded):
            fleet = self.settings.new_fleet()
            count("models_refused", decode_fleet(encoded, fleet))
        return fleet

    def _write(self, shard: int, fleet: Fleet, state: Any, due: Any) -> None:
        encoded = encode_fleet(fleet)
        state.write(encoded)
        self._decoded[shard] = (xxh3_64_intdigest(encoded), fleet)
        if len(self._decoded) > CACHED_FLEETS:
            self._decoded.popitem(last=False)
        # A timer that is due for nothing would tick on to the end of time and hold the job there.
        if (when := fleet.due()) is None:
            due.clear()
        else:
            # A timer crosses to the engine in milliseconds, cut off: one that is due a microsecond
            # later would fire too early, release nothing and be set again, for ever. Full seconds,
            # because each firing reads and writes the whole shard.
            due.set(Timestamp(micros=-(-when // TIMER_STEP) * TIMER_STEP))


class FoldShard(beam.DoFn):
    """The bounded form: the same fleet over all the shard's readings, in the order of arrival."""

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings

    def process(self, element: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Any]:
        """Fold one shard; its unique readings leave together, as `Summarize` needs them."""
        shard, batches = element
        fleet = self.settings.new_fleet()
        unique: list[pa.RecordBatch] = []
        for chunk in _by_arrival(batches):
            watched = fleet.observe(chunk)
            unique.append(_summed(watched, fleet))
            yield from _scored(watched)
        yield from _scored(fleet.advance(END_OF_TIME))
        together = pa.concat_batches(unique)
        unique.clear()
        yield from _unique(shard, together)


def _by_arrival(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The readings in the order of their arrival, some at a time: one shard can be large."""
    order = [(name, "ascending") for name in ("arrival_time", "source", "position")]
    readings = pa.Table.from_batches(list(batches)).combine_chunks().to_batches()[0]
    places = readings.select([name for name, _ in order])
    row = pa.array(np.arange(readings.num_rows))
    arrived = pa.Table.from_batches([places.append_column("row", row)]).sort_by(order)
    rows = arrived.column("row").combine_chunks()
    for start in range(0, len(rows), CHUNK):
        yield readings.take(rows.slice(start, CHUNK))


def _scored(watched: Watched) -> Iterator[Any]:
    count("readings", watched.scored.num_rows)
    count("late_readings", watched.late)
    count("duplicates", watched.duplicates)
    count("anomalies", watched.anomalies.num_rows)
    if watched.scored.num_rows:
        yield TimestampedValue(watched.scored, earliest(watched.scored, "event_time"))
    if watched.anomalies.num_rows:
        stamped = TimestampedValue(watched.anomalies, earliest(watched.anomalies, "event_time"))
        yield TaggedOutput("anomalies", stamped)


def _summed(watched: Watched, fleet: Fleet) -> pa.RecordBatch:
    names = ("device_id", "event_time", "reading_id", "site", "model", *fleet.channels)
    return watched.unique.select(names)


def _unique(shard: int, unique: pa.RecordBatch) -> Iterator[Any]:
    if unique.num_rows:
        stamped = TimestampedValue((shard, unique), earliest(unique, "event_time"))
        yield TaggedOutput("unique", stamped)
