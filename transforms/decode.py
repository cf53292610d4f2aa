"""Decode: batches of messages into batches of valid readings; the rest are dead letters."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple, get_args

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints.decorators import IOTypeHints
from apache_beam.utils.timestamp import Timestamp
from msgspec import UNSET

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract
from eddyline.schemas.unreadable import Why, unreadable
from eddyline.transforms.counts import count
from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.decoding.payload import ROW_ERRORS, Dropped, Parsed, PayloadParser, Row
from eddyline.transforms.decoding.reading_id import reading_ids
from eddyline.transforms.decoding.reject import Reject
from eddyline.transforms.decoding.relevance import DropRule

STAGE, READ = "decode", "read"
_SENT = ("device_id", "event_time", "reading_id", "message_id", "firmware", "attributes")
_ORIGIN = ("arrival_time", "source", "position")
MAX_ROWS, MAX_BYTES = 20_000, 8 * 2**20


class DecodedBatch(NamedTuple):
    """What became of messages: readings + dead letters + filtered, nothing else."""

    readings: pa.RecordBatch
    dead_letters: pa.RecordBatch
    filtered: dict[str, int]


class Decoder:
    """Decode batches of messages: pure, and total over any bytes.

    Guarantee: each reading that a message carries, and each message that carries none, is exactly
    one row of `readings`, one row of `dead_letters`, or one in `filtered`. Rows keep the order of
    their messages. Nothing is invented: a missing channel is null, a missing event time a dead
    letter. Memory stays near that of the messages, however much they unpack to.

    Args:
        contract: The declared channels and names.
        parser: What parses a payload.
    """

    def __init__(self, contract: Contract, parser: PayloadParser) -> None:
        self.parser = parser
        self.channels = contract.channels
        self.names = {name: contract.names_of(name) for name in ("message_id", "firmware")}
        reading = arrow_schema(contract.record("reading"))
        columns = (*_SENT, *_ORIGIN, *(channel.name for channel in contract.channels))
        self.schema = pa.schema([reading.field(name) for name in columns])
        self.dead_letter_schema = arrow_schema(contract.record("dead_letter"))
        self._no_dead_letters = pa.RecordBatch.from_pylist([], self.dead_letter_schema)

    def decode(self, batch: pa.RecordBatch) -> Iterator[DecodedBatch]:
        """Decode a batch of messages, of the `message` record's schema.

        Yields:
            One result; several where what the messages unpack to is more than `MAX_ROWS` readings
            or `MAX_BYTES`.
        """
        held = _Held()
        plain, parse = self.parser.plain, self.parser.parse
        came = zip(
            batch.column("payload").to_pylist(),
            map(dict, batch.column("attributes").to_pylist()),
            batch.column("arrival_time").cast(pa.int64()).to_pylist(),
            strict=True,
        )
        for message, (payload, attributes, arrival) in enumerate(came):
            if attributes and (why := unreadable(attributes)):
                held.add(message, Reject(why[0], None, why[1], payload))
                continue
            try:
                held.rows.append(plain(payload, attributes, arrival))
                held.origin.append(message)
                continue
            except ROW_ERRORS:
                pass  # not the common case, or invalid: `parse` says which
            for parsed in parse(payload, attributes, arrival):
                held.add(message, parsed)
                if held.full:
                    yield self._decoded(batch, held)
                    held = _Held()
        yield self._decoded(batch, held)

    def _decoded(self, batch: pa.RecordBatch, held: "_Held") -> DecodedBatch:
        return DecodedBatch(
            self._readings(batch, held.rows, held.origin),
            self._dead_letters(batch, held.rejects, held.rejected),
            dict(held.filtered),
        )

    def _readings(
        self, batch: pa.RecordBatch, rows: Sequence[Row], origin: Sequence[int]
    ) -> pa.RecordBatch:
        typed = [row.typed for row in rows]
        devices = [row.device_id for row in rows]
        times = np.array([row.event_time for row in rows], np.int64)
        message_ids = [None if i is None else str(i) for i in self._sent(typed, "message_id")]
        channels = [
            pa.array(map(attrgetter(channel.name), typed), self.schema.field(channel.name).type)
            for channel in self.channels
        ]
        came = batch.select(_ORIGIN).take(pa.array(origin, pa.int64()))
        return pa.RecordBatch.from_arrays(
            [
                pa.array(devices, pa.string()),
                pa.array(times, self.schema.field("event_time").type),
                pa.array(reading_ids(devices, message_ids, times, channels)),
                pa.array(message_ids, pa.string()),
                pa.array(self._sent(typed, "firmware"), pa.string()),
                pa.array([row.attributes for row in rows], pa.string()),
                *came.columns,
                *channels,
            ],
            schema=self.schema,
        )

    def _sent(self, typed: Sequence[Any], name: str) -> list[Any]:
        """A standard field's values: the first that was sent under one of its names, or None."""
        values = [None] * len(typed)
        for alias in reversed(self.names[name]):
            for row, value in enumerate(map(attrgetter(alias), typed)):
                if value is not UNSET and value is not None and value != "":
                    values[row] = value
        return values

    def _dead_letters(
        self, batch: pa.RecordBatch, rejects: Sequence[Reject], rejected: Sequence[int]
    ) -> pa.RecordBatch:
        if not rejects:  # almost always
            return self._no_dead_letters
        came = batch.take(pa.array(rejected, pa.int64()))
        columns = {
            "arrival_time": came.column("arrival_time"),
            "stage": pa.array([_stage(reject) for reject in rejects], pa.string()),
            "reason": pa.array([reject.reason for reject in rejects], pa.string()),
            "path": pa.array([reject.path for reject in rejects], pa.string()),
            "error": pa.array([reject.error for reject in rejects], pa.string()),
            "payload": pa.array([reject.payload for reject in rejects], pa.binary()),
            "attributes": came.column("attributes"),
            "source": came.column("source"),
            "position": came.column("position"),
        }
        return pa.RecordBatch.from_pydict(columns, schema=self.dead_letter_schema)


def _stage(reject: Reject) -> str:
    return READ if reject.reason in get_args(Why) else STAGE


class _Held:
    """Rows and rejects on their way, each with the message it came from."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.origin: list[int] = []
        self.rejects: list[Reject] = []
        self.rejected: list[int] = []
        self.filtered: Counter[str] = Counter()
        self.bytes = 0

    @property
    def full(self) -> bool:
        return self.bytes > MAX_BYTES or len(self.rows) + len(self.rejects) >= MAX_ROWS

    def add(self, message: int, parsed: Parsed) -> None:
        match parsed:
            case Row():
                self.rows.append(parsed)
                self.origin.append(message)
                self.bytes += len(parsed.attributes or "")
            case Reject():
                self.rejects.append(parsed)
                self.rejected.append(message)
                self.bytes += len(parsed.payload)
            case Dropped(rule):
                self.filtered[rule] += 1


class Decoded(NamedTuple):
    """What `Decode` gives."""

    readings: beam.PCollection[pa.RecordBatch]
    dead_letters: beam.PCollection[pa.RecordBatch]


@dataclass
class Decode(beam.PTransform):
    """Decode batches of messages into valid readings; what cannot be decoded is a dead letter.

    Guarantee: see `Decoder`. A batch of readings is stamped with its earliest event time, a batch
    of dead letters keeps its messages' time. Empty batches do not leave.

    Counters: `messages`, `readings_decoded`, `dead_letters`, `dead_letter_<reason>`, `filtered`,
    `filtered_<rule>`.
    """

    contract: Contract
    rules: tuple[DropRule, ...] = ()
    bounds: TimeBounds = field(default_factory=TimeBounds)
    max_bytes: int = 2**20

    def __post_init__(self) -> None:
        super().__init__()
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {self.max_bytes}")

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for several outputs and would warn of ours."""
        return IOTypeHints.empty()

    def expand(self, messages: beam.PCollection[pa.RecordBatch]) -> Decoded:
        """Wire it."""
        decode = DecodeBatch(self.contract, self.rules, self.bounds, self.max_bytes)
        outputs: Any = messages | "Decode batch" >> beam.ParDo(decode).with_output_types(
            pa.RecordBatch, dead_letters=pa.RecordBatch
        ).with_outputs("dead_letters", main="readings")
        return Decoded(outputs.readings, outputs.dead_letters)


class DecodeBatch(beam.DoFn):
    """Wires a `Decoder` and counts."""

    def __init__(
        self, contract: Contract, rules: tuple[DropRule, ...], bounds: TimeBounds, max_bytes: int
    ) -> None:
        self.settings = (contract, rules, bounds, max_bytes)

    def setup(self) -> None:
        """Build the decoder once a worker."""
        contract, rules, bounds, max_bytes = self.settings
        self.decoder = Decoder(contract, PayloadParser(contract, rules, bounds, max_bytes))

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        """Decode one batch."""
        count("messages", batch.num_rows)
        for decoded in self.decoder.decode(batch):
            self._count(decoded)
            if decoded.readings.num_rows:
                yield TimestampedValue(decoded.readings, earliest(decoded.readings, "event_time"))
            if decoded.dead_letters.num_rows:
                yield TaggedOutput("dead_letters", decoded.dead_letters)

    def _count(self, decoded: DecodedBatch) -> None:
        count("readings_decoded", decoded.readings.num_rows)
        count("dead_letters", decoded.dead_letters.num_rows)
        for reason, number in Counter(decoded.dead_letters.column("reason").to_pylist()).items():
            count(f"dead_letter_{reason}", number)
        count("filtered", sum(decoded.filtered.values()))
        for rule, number in decoded.filtered.items():
            count(f"filtered_{rule}", number)


def earliest(batch: pa.RecordBatch, column: str) -> Timestamp:
    """The earliest time in a batch of at least one row: what the batch is stamped with."""
    return Timestamp(micros=int(batch.column(column).cast(pa.int64()).to_numpy().min()))
