"""Commands: what operators say of incidents, from bytes to a value that can be believed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta

from eddyline.transforms.decoding.event_time import TimeBounds, to_micros
from eddyline.transforms.decoding.reject import Refused, Reject, reject

MAX_BYTES = 16_384
_Text = Annotated[str, Meta(min_length=1, max_length=256)]
_Time = Annotated[datetime, Meta(tz=True)] | float


class Command(msgspec.Struct, frozen=True, order=True, array_like=True):
    """One operator's word on one incident.

    Args:
        time: Event time at which it is to hold, microseconds.
        device_id: The incident's device.
        incident_id: The incident.
        action: acknowledge: somebody takes care, no reminders any more. confirmed: it is a trouble,
            an earlier `false_alarm` was wrong. false_alarm: it is none, be less sensitive.
        kind: The incident's kind; counts where the incident is no longer known.
        by: Who.
    """

    time: int
    device_id: str
    incident_id: str
    action: Literal["acknowledge", "confirmed", "false_alarm"]
    kind: str | None = None
    by: str | None = None


class _Sent(msgspec.Struct):
    incident_id: _Text
    device_id: _Text
    action: Literal["acknowledge", "confirmed", "false_alarm"]
    event_time: _Time
    kind: _Text | None = None
    by: _Text | None = None


COMMANDS = pa.schema(
    [
        pa.field("command_time", pa.int64(), nullable=False),
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("incident_id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("by", pa.string()),
    ]
)
_MISSING = "missing required field"  # msgspec tells it apart in its words alone
_DECODE = msgspec.json.Decoder(_Sent).decode


def parse_command(payload: bytes, arrival: int, bounds: TimeBounds) -> Command | Reject:
    r"""One command of one message; total over any bytes. Fields that are not known are left alone.

    Args:
        payload: JSON: incident_id, device_id, action, event_time (RFC 3339 or a number), and if
            wanted kind and by.
        arrival: When the source had it, microseconds.
        bounds: Which event times are believed.

    Examples:
        >>> sent = b'{"incident_id": "ae6b", "device_id": "a", "action": "confirmed", '
        >>> bounds = TimeBounds()
        >>> arrival = 1_767_312_001_000_000
        >>> command = parse_command(sent + b'"event_time": 1767312000}', arrival, bounds)
        >>> command.action, command.time
        ('confirmed', 1767312000000000)
        >>> parse_command(sent + b'"by": "ann"}', 0, bounds)[:2]
        ('missing_field', '$')
    """
    if len(payload) > MAX_BYTES:
        words = f"{len(payload)} bytes, a command has at most {MAX_BYTES}"
        return Reject("too_large", None, words, payload)
    if not payload.strip():
        return Reject("empty", None, "no bytes but white space", payload)
    try:
        sent = _DECODE(payload)
        time = command_time(sent.event_time, arrival, bounds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused) as error:
        if _MISSING in str(error):
            return Reject("missing_field", "$", str(error), payload)
        return reject(error, payload)
    return Command(time, sent.device_id, sent.incident_id, sent.action, sent.kind, sent.by)


def command_batch(commands: Iterable[Command]) -> pa.RecordBatch:
    """Commands as they cross a shuffle."""
    rows = [msgspec.to_builtins(command) for command in commands]
    columns = list(zip(*rows, strict=True)) or [()] * len(COMMANDS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, COMMANDS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=COMMANDS)


def commands_of(batch: pa.RecordBatch) -> list[Command]:
    """The inverse of `command_batch`.

    Example:
        >>> command = Command(5, "a", "ae6b", "confirmed", by="ann")
        >>> commands_of(command_batch([command])) == [command]
        True
    """
    return [msgspec.convert(row, Command) for row in zip(*batch.to_pydict().values(), strict=True)]


def is_commands(batch: pa.RecordBatch) -> bool:
    """Whether a batch holds commands, and not readings."""
    return batch.schema.names[0] == COMMANDS.names[0]


def command_time(sent: datetime | float, arrival: int, bounds: TimeBounds) -> int:
    """When a message says that it holds, microseconds.

    Raises:
        Refused: It is no time, or not to be believed.
    """
    path = "$.event_time"
    try:
        time = to_micros(sent)
    except ValueError as error:
        raise Refused("bad_event_time", path, str(error)) from None
    if problem := bounds.problem(time, arrival):
        raise Refused(problem, path, f"{sent} is not believed")
    return time
