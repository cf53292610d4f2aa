"""Operators' messages on a runner: commands to their shards, the rest dead letters."""

import json
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.message import Message, message_batch
from eddyline.transforms.counts import TALLY
from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.shard import shard_of
from eddyline.transforms.incidents.command import Command, commands_of
from eddyline.transforms.incidents.feedback import Feedback, ParseCommands
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.watch import FleetSettings, Watch

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
SHARDS = 3


def message(number, **fields):
    sent = {"incident_id": "ae6b", "device_id": "d", "action": "confirmed", "event_time": T0}
    payload = json.dumps(sent | fields).encode()
    return Message(payload, "control", f"{number:09d}", T0 + number, {"from": "desk"})


def messages(*several):
    return message_batch([message(n, **fields) for n, fields in enumerate(several)])


def parsed(contract, batch):
    outputs = list(ParseCommands(contract, SHARDS, TimeBounds()).process(batch))
    commands = [o.value for o in outputs if not hasattr(o, "tag")]
    letters = [o.value for o in outputs if hasattr(o, "tag")]
    return commands, letters


def test_every_message_is_a_command_on_its_devices_shard_or_a_dead_letter(contract):
    TALLY.clear()
    devices = ["a", "d", "e", "never"]
    batch = messages(*({"device_id": d} for d in devices), {"action": "no"}, {"event_time": 3})
    commands, letters = parsed(contract, batch)
    by_shard = {shard: commands_of(part) for shard, (_, part) in commands}
    assert {stream for _, (stream, _) in commands} == {NEVER}
    assert sorted(c.device_id for part in by_shard.values() for c in part) == devices
    for shard, part in by_shard.items():
        assert {shard_of(c.device_id, SHARDS) for c in part} == {shard}
    (letters,) = letters
    assert letters.schema == arrow_schema(contract.record("dead_letter"))
    assert letters.column("stage").to_pylist() == ["feedback"] * 2
    assert letters.column("reason").to_pylist() == ["wrong_type", "bad_event_time"]
    assert letters.column("payload").to_pylist() == batch.column("payload").to_pylist()[4:]
    assert letters.column("position").to_pylist() == ["000000004", "000000005"]
    counts = TALLY.read()
    assert (counts["feedback_messages"], counts["dead_letters"]) == (6, 2)


def test_feedback_needs_a_shard(contract):
    with pytest.raises(ValueError, match="shards must be at least 1, not 0"):
        Feedback(contract, 0)


@pytest.mark.job
@pytest.mark.parametrize("streaming", [True, False])
def test_a_command_reaches_the_fleet_and_gives_its_rows(
    contract, plain_detector, readings, tmp_path, streaming
):
    rows = [("d", t, t, (18.0 if t == 600 else 0.0, 0)) for t in range(0, 3000, 60)]
    opened = {"incident_id": None}

    def run(feedback):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        pipeline = beam.Pipeline("FnApiRunner", PipelineOptions([]))
        source = pipeline | "Readings" >> beam.Create([readings(rows)])
        said = pipeline | "Messages" >> beam.Create([feedback]) | Feedback(contract, SHARDS)
        watched = source | Watch(
            FleetSettings(contract, plain_detector),
            KnownFiles(lambda: 0.0),
            SHARDS,
            streaming,
            commands=said.commands,
        )
        _ = watched.incidents | beam.Map(Append(str(path)))
        pipeline.run().wait_until_finish()
        return [json.loads(line) for line in path.read_text().splitlines()]

    first = run(messages({"device_id": "nobody"}))
    opened = first[0]["incident_id"]
    told = run(messages({"incident_id": opened, "event_time": T0 + 700 * SECOND, "by": "ann"}))
    by = {row["transition"]: row["operator"] for row in told}
    assert by == {"opened": None, "confirmed": "ann", "resolved": None}
    if not streaming:  # there this runner may hand the command over after all readings
        assert list(by) == ["opened", "confirmed", "resolved"]


class Append:
    """Write rows down as JSON lines."""

    def __init__(self, path):
        self.path = path

    def __call__(self, batch):
        with Path(self.path).open("a", encoding="utf-8") as file:
            for row in batch.to_pylist():
                file.write(json.dumps(row, default=str) + "\n")


def test_a_command_is_ordered_by_its_time():
    assert Command(1, "b", "x", "confirmed") < Command(2, "a", "x", "acknowledge")


def test_dead_letters_of_nothing_are_not_sent(contract):
    commands, letters = parsed(contract, messages({}))
    assert (len(commands), letters) == (1, [])
    assert isinstance(commands[0][1][1], pa.RecordBatch)
