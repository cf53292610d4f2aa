"""A message, and a batch of messages as one Arrow table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract

MESSAGE_SCHEMA: pa.Schema = arrow_schema(load_contract("room").record("message"))


@dataclass(frozen=True)
class Message:
    """Payload bytes as they arrived; nothing was decided about them yet.

    Args:
        payload: The bytes.
        source: The partition it came from.
        position: Its place there; compares as text in the order of reading.
        arrival_time: When the source had it, microseconds since the epoch.
        attributes: What the transport said beside the payload.
    """

    payload: bytes
    source: str
    position: str
    arrival_time: int
    attributes: Mapping[str, str] = field(default_factory=dict)


def message_batch(messages: Iterable[Message]) -> pa.RecordBatch:
    """The messages as one batch, in their order.

    Example:
        >>> message_batch([Message(b"{}", "a.jsonl", "000", 0)]).num_rows
        1
    """
    rows = list(messages)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.payload for row in rows], pa.binary()),
            pa.array([list(row.attributes.items()) for row in rows], MESSAGE_SCHEMA.types[1]),
            pa.array([row.source for row in rows], pa.string()),
            pa.array([row.position for row in rows], pa.string()),
            pa.array([row.arrival_time for row in rows], MESSAGE_SCHEMA.types[4]),
        ],
        schema=MESSAGE_SCHEMA,
    )


def messages_of(batch: pa.RecordBatch) -> list[Message]:
    """The batch's messages, in its order: the inverse of `message_batch`."""
    times = batch.column("arrival_time").cast(pa.int64()).to_pylist()
    return [
        Message(payload, source, position, time, dict(attributes))
        for payload, attributes, source, position, time in zip(
            batch.column("payload").to_pylist(),
            batch.column("attributes").to_pylist(),
            batch.column("source").to_pylist(),
            batch.column("position").to_pylist(),
            times,
            strict=True,
        )
    ]
