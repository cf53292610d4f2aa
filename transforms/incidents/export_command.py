"""The command `export`: every shard tells what it knows of its devices, and goes on."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta

from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.decoding.reject import Refused, Reject, reject
from eddyline.transforms.incidents.command import MAX_BYTES, command_time

EXPORTS = pa.schema([pa.field("export_time", pa.int64(), nullable=False)])


class _Said(msgspec.Struct):
    action: str = ""


class _Sent(msgspec.Struct):
    action: Literal["export"]
    event_time: Annotated[datetime, Meta(tz=True)] | float


_SAID, _DECODE = msgspec.json.Decoder(_Said).decode, msgspec.json.Decoder(_Sent).decode


def is_export(payload: bytes) -> bool:
    """Whether a message asks for an export, be it well-formed or not; total over any bytes.

    Example:
        >>> is_export(b'{"action": "export"}'), is_export(b'{"action": "confirmed"}')
        (True, False)
    """
    if len(payload) > MAX_BYTES:
        return False
    try:
        return _SAID(payload).action == "export"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def parse_export(payload: bytes, arrival: int, bounds: TimeBounds) -> int | Reject:
    r"""The time of an export, microseconds: the name by which its rows are told from others.

    Args:
        payload: JSON: action and event_time (RFC 3339 or a number).
        arrival: When the source had it, microseconds.
        bounds: Which event times are believed.

    Example:
        >>> payload = b'{"action": "export", "event_time": "2026-01-02T00:00:00Z"}'
        >>> parse_export(payload, 1_767_312_001_000_000, TimeBounds())
        1767312000000000
    """
    try:
        return command_time(_DECODE(payload).event_time, arrival, bounds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused) as error:
        if "missing required field" in str(error):
            return Reject("missing_field", "$", str(error), payload)
        return reject(error, payload)


def export_batch(times: Iterable[int]) -> pa.RecordBatch:
    """Exports as they cross a shuffle.

    Example:
        >>> exports_of(export_batch([7, 5]))
        [7, 5]
    """
    return pa.RecordBatch.from_pydict({"export_time": list(times)}, schema=EXPORTS)


def exports_of(batch: pa.RecordBatch) -> list[int]:
    """The inverse of `export_batch`."""
    return batch.column("export_time").to_pylist()


def is_exports(batch: pa.RecordBatch) -> bool:
    """Whether a batch holds exports, and neither readings nor commands."""
    return batch.schema.names[0] == EXPORTS.names[0]
