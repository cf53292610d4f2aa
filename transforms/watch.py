"""Watch: one fleet a shard, over the shard's readings in the order of their arrival."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import AsSingleton, TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.typehints.decorators import IOTypeHints
from apache_beam.utils.timestamp import Timestamp

from eddyline.detectors.protocol import Detector
from eddyline.schemas.record import Contract
from eddyline.transforms.counts import count
from eddyline.transforms.decode import earliest
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.shard import Keyed
from eddyline.transforms.devices.stream_time import EMPTY, Fed, KeyByShard, Span, StreamTime
from eddyline.transforms.fleet.device_states import device_states
from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet, Watched
from eddyline.transforms.fleet.fleet_log import FleetLog
from eddyline.transforms.fleet.state_file import StatesByShard
from eddyline.transforms.incidents.command import commands_of, is_commands
from eddyline.transforms.incidents.export_command import exports_of, is_exports
from eddyline.transforms.incidents.known_files import KnownByShard, KnownFiles

CHUNK = 8_192
CACHED_FLEETS = 256
TIMER_STEP = 1_000_000
# Before the end of the window: later steps that flush there then still get what is given here.
LAST = Timestamp(micros=GlobalWindow().max_timestamp().micros - TIMER_STEP)


class WatchedOutputs(NamedTuple):
    """What `Watch` gives.

    Args:
        unique: Readings seen for the first time, keyed by shard, at once, with the columns that
            minutes are made of; of a bounded job all of a shard's readings in one batch.
        scored: Readings with verdict and score, when they are in order.
        anomalies: The anomalies among them, explained.
        incidents: Transitions of incidents, each incident's in order.
        states: What is known of each device, when an export is asked for.
    """

    unique: beam.PCollection[Keyed]
    scored: beam.PCollection[pa.RecordBatch]
    anomalies: beam.PCollection[pa.RecordBatch]
    incidents: beam.PCollection[pa.RecordBatch]
    states: beam.PCollection[pa.RecordBatch]


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


@dataclass
class Watch(beam.PTransform):
    """Order, deduplicate and score each device's readings; open and resolve its incidents.

    Guarantee: see `Fleet`. A streaming job keeps each shard's fleet in state and reads in the order
    of arrival; event-time timers release what waits and notice who is silent. A bounded job folds
    the same fleet over each shard's readings, sorted by arrival, since batch engines hand them over
    in any order. Both give the same rows. A killed worker loses and doubles nothing.

    The number of shards is part of a running job's state and cannot change under it. Another job
    with another number goes on from the `states` of this one (`device_states`): those that an
    `Export` command asks for, as of when it comes to each shard; or those of the end.

    Args:
        settings: What every shard's fleet is made of.
        files: Registry and policy.
        shards: Number of shards.
        streaming: Whether the job runs on, with state.
        commands: What operators say of incidents, keyed by shard, from `Feedback`; None for nobody.
        begin_with: A file of device states that a shard begins with where it has no state yet;
            empty for none.
        hand_over: Give the states at the end, and what waits then with them: another job goes on.
            Without it the end of the stream puts all that waits in order.

    Counters: `readings`, `duplicates`, `late_readings`, `anomalies`, `models_refused`,
    `incidents_opened`, `incidents_updated`, `incidents_resolved`, `feedback`, `feedback_ignored`,
    `states_read`, `states_exported` and those of the files (`Reloaded`).
    """

    settings: FleetSettings
    files: KnownFiles
    shards: int = 16
    streaming: bool = False
    commands: beam.PCollection[Fed] | None = None
    begin_with: str = ""
    hand_over: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, not {self.shards}")

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for several outputs and would warn of ours."""
        return IOTypeHints.empty()

    def expand(self, readings: beam.PCollection[pa.RecordBatch]) -> WatchedOutputs:
        """Wire it."""
        fed: Any = readings | "Key by shard" >> beam.ParDo(
            KeyByShard(self.shards)
        ).with_output_types(Fed)
        if self.commands is not None:
            fed = (fed, self.commands) | "With commands" >> beam.Flatten()
        known = (self.settings, self.files, self.shards, self.begin_with, self.hand_over)
        if self.streaming:
            outputs = fed | "Watch shard" >> _tagged(beam.ParDo(WatchShard(*known)))
        else:
            spans: Any = readings | "Stream time" >> StreamTime()
            span = AsSingleton(spans, default_value=EMPTY)
            outputs = (
                fed
                | "Collect shard" >> beam.GroupByKey()
                | "Fold shard" >> _tagged(beam.ParDo(FoldShard(*known), span))
            )
        return WatchedOutputs(*(outputs[name] for name in WatchedOutputs._fields))


def _tagged(watch: Any) -> Any:
    return watch.with_output_types(
        pa.RecordBatch,
        unique=Keyed,
        anomalies=pa.RecordBatch,
        incidents=pa.RecordBatch,
        states=pa.RecordBatch,
    ).with_outputs("unique", "anomalies", "incidents", "states", main="scored")


class _Shards(beam.DoFn):
    """What the two forms have in common: new fleets that know the files."""

    def __init__(
        self,
        settings: FleetSettings,
        files: KnownFiles,
        shards: int,
        begin_with: str = "",
        hand_over: bool = False,
    ) -> None:
        self.settings, self.files, self.shards = settings, files, shards
        self.begin_with, self.hand_over = begin_with, hand_over

    def setup(self) -> None:
        """Read the files once a worker."""
        channels = tuple(channel.name for channel in self.settings.contract.channels)
        self.known = KnownByShard(self.files, channels, self.shards)
        self.states = StatesByShard(self.begin_with, self.shards) if self.begin_with else None

    def new_fleet(self, shard: int) -> Fleet:
        """A fleet without devices."""
        fleet = self.settings.new_fleet()
        fleet.know(self.known.of(shard))
        return fleet

    def first_fleet(self, shard: int) -> Fleet:
        """A fleet of a shard that has no state yet: without devices, or with those of the file."""
        fleet = self.new_fleet(shard)
        if self.states is not None:
            devices, refused = self.states.begin(shard, fleet)
            count("states_read", devices)
            count("models_refused", refused)
        return fleet


class WatchShard(_Shards):
    """The streaming form: the shard's fleet is in state, as a base and a log of what changed."""

    FLEET = ReadModifyWriteStateSpec("fleet", BytesCoder())
    LOG = BagStateSpec("fleet_log", BytesCoder())
    MARK = ReadModifyWriteStateSpec("fleet_mark", BytesCoder())
    DUE = TimerSpec("due", TimeDomain.WATERMARK)
    END = TimerSpec("watch_end", TimeDomain.WATERMARK)

    def setup(self) -> None:
        """Read the files once a worker; begin with no decoded fleet."""
        super().setup()
        # Decoding costs more than a bundle's readings; the state's digest says whether what this
        # worker decoded or wrote last is still what the engine holds.
        self._decoded: OrderedDict[int, tuple[int, Fleet]] = OrderedDict()

    def process(
        self,
        element: Fed,
        base: Any = beam.DoFn.StateParam(FLEET),
        log: Any = beam.DoFn.StateParam(LOG),
        mark: Any = beam.DoFn.StateParam(MARK),
        due: Any = beam.DoFn.TimerParam(DUE),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Take one batch of the shard: readings, how far the stream is, commands or exports."""
        shard, (stream, batch) = element
        state = FleetLog(base, log, mark)
        fleet = self._read(shard, state)
        if stream != NEVER:
            fleet.tell(stream)
        if self.hand_over:
            end.set(LAST)
        if is_exports(batch):
            self._write(shard, fleet, state, due)
            yield from _states(fleet, exports_of(batch))
            return
        watched = _control(fleet, batch) if is_commands(batch) else fleet.observe(batch)
        self._write(shard, fleet, state, due)
        yield from _scored(watched)
        yield from _unique(shard, _summed(watched, fleet))

    @on_timer(DUE)
    def release(
        self,
        shard: Any = beam.DoFn.KeyParam,
        timestamp: Any = beam.DoFn.TimestampParam,
        base: Any = beam.DoFn.StateParam(FLEET),
        log: Any = beam.DoFn.StateParam(LOG),
        mark: Any = beam.DoFn.StateParam(MARK),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """The watermark has come to where something that waits is due."""
        state = FleetLog(base, log, mark)
        fleet = self._read(shard, state)
        watched = fleet.advance(timestamp.micros)
        self._write(shard, fleet, state, due)
        yield from _scored(watched)

    @on_timer(END)
    def leave(
        self,
        shard: Any = beam.DoFn.KeyParam,
        base: Any = beam.DoFn.StateParam(FLEET),
        log: Any = beam.DoFn.StateParam(LOG),
        mark: Any = beam.DoFn.StateParam(MARK),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """The stream has ended or is drained, and another job goes on: hand the devices over."""
        state = FleetLog(base, log, mark)
        fleet = self._read(shard, state)
        yield from _states(fleet, [_now(fleet)])
        # Not cleared: what is due in this same bundle would begin with the file again.
        self._write(shard, self.new_fleet(shard), state, due)

    def _read(self, shard: int, state: FleetLog) -> Fleet:
        if state.digest is None:
            return self.first_fleet(shard)
        digest, fleet = self._decoded.pop(shard, (None, None))
        if fleet is None or digest != state.digest:
            fleet = self.new_fleet(shard)
            count("models_refused", state.read(fleet))
        fleet.know(self.known.of(shard))
        return fleet

    def _write(self, shard: int, fleet: Fleet, state: FleetLog, due: Any) -> None:
        self._decoded[shard] = (state.write(fleet), fleet)
        if len(self._decoded) > CACHED_FLEETS:
            self._decoded.popitem(last=False)
        # A timer that is due for nothing would tick on to the end of time and hold the job there.
        if (when := fleet.due()) is None:
            due.clear()
        else:
            # Of a backlog a batch covers minutes, and a timer for each second of them would touch
            # the shard more often than its readings do. Where the job keeps up with the stream the
            # watermark is past this time.
            when = max(when, fleet.casebook.stream - fleet.disorder)
            # A timer crosses to the engine in milliseconds, cut off: one that is due a microsecond
            # later would fire too early, release nothing and be set again, for ever. Full seconds,
            # because each firing reads and writes state.
            due.set(Timestamp(micros=-(-when // TIMER_STEP) * TIMER_STEP))


class FoldShard(_Shards):
    """The bounded form: the same fleet over all the shard's readings, in the order of arrival."""

    def process(
        self, element: tuple[int, Iterable[tuple[int, pa.RecordBatch]]], span: Span
    ) -> Iterator[Any]:
        """Fold one shard; its unique readings leave together, as `Summarize` needs them.

        Args:
            element: The shard and all it was fed with.
            span: The earliest and the latest event time of the whole stream.
        """
        shard, fed = element
        batches = [batch for _, batch in fed]
        fleet = self.first_fleet(shard)
        for time in span:
            fleet.tell(time)
        for batch in batches:
            if is_commands(batch):
                yield from _scored(_control(fleet, batch))
        exports = [time for batch in batches if is_exports(batch) for time in exports_of(batch)]
        batches = [b for b in batches if b.num_rows and not is_commands(b) and not is_exports(b)]
        unique: list[pa.RecordBatch] = []
        for chunk in _by_arrival(batches):
            watched = fleet.observe(chunk)
            unique.append(_summed(watched, fleet))
            yield from _scored(watched)
        yield from _states(fleet, [*exports, _now(fleet)] if self.hand_over else exports)
        if not self.hand_over:
            yield from _scored(fleet.advance(END_OF_TIME))
        if unique:
            together = pa.concat_batches(unique)
            unique.clear()
            yield from _unique(shard, together)


def _control(fleet: Fleet, batch: pa.RecordBatch) -> Watched:
    count("feedback", batch.num_rows)
    return fleet.control(commands_of(batch))


def _states(fleet: Fleet, exported_at: Iterable[int]) -> Iterator[Any]:
    for time in exported_at:
        for batch in device_states(fleet, time):
            count("states_exported", batch.num_rows)
            yield TaggedOutput("states", batch)


def _now(fleet: Fleet) -> int:
    """How far the stream has come, as far as the shard knows."""
    return max(fleet.casebook.stream, int(fleet.admission.last_seen.max(initial=NEVER)))


def _by_arrival(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The readings in the order of their arrival, some at a time: one shard can be large."""
    if not batches:
        return
    order = [(name, "ascending") for name in ("arrival_time", "source", "position")]
    readings = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
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
    count("feedback_ignored", watched.ignored)
    if watched.incidents.num_rows:
        transitions = watched.incidents.column("transition").to_pylist()
        for name in ("opened", "updated", "resolved"):
            count(f"incidents_{name}", transitions.count(name))
        stamped = TimestampedValue(watched.incidents, earliest(watched.incidents, "event_time"))
        yield TaggedOutput("incidents", stamped)


def _summed(watched: Watched, fleet: Fleet) -> pa.RecordBatch:
    names = ("device_id", "event_time", "reading_id", "site", "model", *fleet.channels)
    return watched.unique.select(names)


def _unique(shard: int, unique: pa.RecordBatch) -> Iterator[Any]:
    if unique.num_rows:
        stamped = TimestampedValue((shard, unique), earliest(unique, "event_time"))
        yield TaggedOutput("unique", stamped)
