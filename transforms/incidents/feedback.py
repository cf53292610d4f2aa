"""Feedback: messages of operators into commands for the shards; the rest are dead letters."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue
from apache_beam.typehints.decorators import IOTypeHints
from apache_beam.utils.timestamp import Timestamp

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract
from eddyline.transforms.counts import count
from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.decoding.reject import Reject
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.shard import split_by_shard
from eddyline.transforms.devices.stream_time import Fed
from eddyline.transforms.incidents.command import Command, command_batch, parse_command
from eddyline.transforms.incidents.export_command import export_batch, is_export, parse_export

STAGE = "feedback"


class FeedbackOutputs(NamedTuple):
    """What `Feedback` gives: commands keyed by shard, and batches of dead letters."""

    commands: beam.PCollection[Fed]
    dead_letters: beam.PCollection[pa.RecordBatch]


@dataclass
class Feedback(beam.PTransform):
    """Parse batches of operators' messages into commands for `Watch`.

    Guarantee: every message is one command or one dead letter of the stage `feedback`. A command
    that comes twice counts once (`apply_command`). An export goes to every shard.

    Counters: `feedback_messages`, `dead_letters`, `dead_letter_<reason>`.
    """

    contract: Contract
    shards: int = 16
    bounds: TimeBounds = field(default_factory=TimeBounds)

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, not {self.shards}")

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for several outputs and would warn of ours."""
        return IOTypeHints.empty()

    def expand(self, messages: beam.PCollection[pa.RecordBatch]) -> FeedbackOutputs:
        """Wire it."""
        parse = ParseCommands(self.contract, self.shards, self.bounds)
        outputs: Any = messages | "Parse commands" >> beam.ParDo(parse).with_output_types(
            Fed, dead_letters=pa.RecordBatch
        ).with_outputs("dead_letters", main="commands")
        return FeedbackOutputs(outputs.commands, outputs.dead_letters)


class ParseCommands(beam.DoFn):
    """Wires `parse_command` and counts."""

    def __init__(self, contract: Contract, shards: int, bounds: TimeBounds) -> None:
        self.shards, self.bounds = shards, bounds
        self.dead_letter_schema = arrow_schema(contract.record("dead_letter"))

    def process(self, messages: pa.RecordBatch) -> Iterator[Any]:
        """Parse one batch."""
        count("feedback_messages", messages.num_rows)
        payloads = messages.column("payload").to_pylist()
        arrivals = messages.column("arrival_time").cast(pa.int64()).to_pylist()
        commands: list[Command] = []
        exports: list[int] = []
        rejects: dict[int, Reject] = {}
        for row, (payload, arrival) in enumerate(zip(payloads, arrivals, strict=True)):
            parse = parse_export if is_export(payload) else parse_command
            parsed = parse(payload, arrival, self.bounds)
            if isinstance(parsed, Command):
                commands.append(parsed)
            elif isinstance(parsed, int):
                exports.append(parsed)
            else:
                rejects[row] = parsed
        if commands:
            earliest = Timestamp(micros=min(command.time for command in commands))
            for shard, part in split_by_shard(command_batch(commands), self.shards):
                yield TimestampedValue((shard, (NEVER, part)), earliest)
        if exports:
            asked, first = export_batch(exports), Timestamp(micros=min(exports))
            for shard in range(self.shards):
                yield TimestampedValue((shard, (NEVER, asked)), first)
        if rejects:
            yield TaggedOutput("dead_letters", self._dead_letters(messages, rejects))

    def _dead_letters(self, messages: pa.RecordBatch, rejects: dict[int, Reject]) -> pa.RecordBatch:
        came = messages.take(pa.array(list(rejects), pa.int64()))
        why = list(rejects.values())
        count("dead_letters", len(why))
        for one in why:
            count(f"dead_letter_{one.reason}")
        columns = {
            **{name: came.column(name) for name in came.schema.names},
            "stage": pa.array([STAGE] * len(why), pa.string()),
            "reason": pa.array([one.reason for one in why], pa.string()),
            "path": pa.array([one.path for one in why], pa.string()),
            "error": pa.array([one.error for one in why], pa.string()),
            "payload": pa.array([one.payload for one in why], pa.binary()),
        }
        return pa.RecordBatch.from_pydict(columns, schema=self.dead_letter_schema)
