"""A delta: what changed of a fleet since its state was last written, as one value of bytes.

    magic "EDFD" | version u16 | checksum u64 of what follows | digest u64 of the state before |
    size u32 of the content | the content, zstd: a `Delta` in msgpack

A delta knows the state that it follows by its digest and not by a number: so deltas of an attempt
that was abandoned, or of another base, do not fit in.
"""

import struct
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from eddyline.transforms.devices.admission import recent_ids
from eddyline.transforms.fleet.course import COURSE, courses_of
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_parts import FleetRefused
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.trouble import Troubles

MAGIC = b"EDFD"
VERSION = 1
_HEADER = struct.Struct("<4sHQ")
_FOLLOWS = struct.Struct("<QI")
ADMITTED = np.dtype([("row", "<u4"), ("last_seen", "<i8"), ("frontier", "<i8"), ("ids", "<u4")])
JUDGED = np.dtype([("row", "<u4"), ("course", COURSE)])


class Delta(msgspec.Struct, array_like=True):
    """What changed. Devices are told by their rows in the fleet.

    Args:
        stream: How far the stream is.
        began: When it began.
        devices: Ids of new devices; they get the next rows.
        admitted: `ADMITTED` of the devices whose admission changed; of each the number of `ids`.
        ids: Ids of the readings that they remember in addition, the oldest first, int64.
        judged: `JUDGED` of the devices whose model or course changed.
        models: Their models' records.
        gone: Places, among the readings that waited, of those that do no longer, uint32.
        waiting: Readings that wait behind the others, as an Arrow stream; empty for none.
        cases: By device id all that the casebook has of it, where that changed.
    """

    stream: int
    began: int
    devices: list[str] = []
    admitted: bytes = b""
    ids: bytes = b""
    judged: bytes = b""
    models: list[bytes] = []
    gone: bytes = b""
    waiting: bytes = b""
    cases: dict[str, tuple[Troubles | None, list[Command]]] = {}


class Follows(NamedTuple):
    """A delta, and the digest of the state that it follows."""

    before: int
    delta: Delta


_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode
_DECODE = msgspec.msgpack.Decoder(Delta).decode
_ZSTD = pa.Codec("zstd", compression_level=1)


def delta_of(fleet: Fleet) -> Delta:
    """What changed of a fleet since `Fleet.settle`; the fleet stays as it is."""
    changes, admission, book = fleet.changes, fleet.admission, fleet.casebook
    rows = np.flatnonzero(changes.admitted)
    ids, number = recent_ids(admission, rows, changes.new_ids(admission, rows))
    admitted = np.empty(len(rows), ADMITTED)
    admitted["row"], admitted["ids"] = rows, number
    admitted["last_seen"] = admission.last_seen[rows]
    admitted["frontier"] = admission.frontier[rows]
    rows = np.flatnonzero(changes.judged)
    judged = np.empty(len(rows), JUDGED)
    judged["row"], judged["course"] = rows, courses_of(book, rows)
    gone, waiting = fleet.waiting.changed()
    return Delta(
        book.stream,
        book.began,
        book.ids[changes.devices :],
        admitted.tobytes(),
        ids.tobytes(),
        judged.tobytes(),
        fleet.detector.encode_many(fleet.models, rows.tolist()),
        gone.tobytes(),
        _stream(waiting) if waiting.num_rows else b"",
        {name: (book.troubles.get(name), book.commands.get(name, [])) for name in book.touched},
    )


def encode_delta(delta: Delta, before: int) -> bytes:
    """A delta as bytes.

    Args:
        delta: What changed.
        before: The digest of the state that it follows.
    """
    content = _ENCODE(delta)
    packed: Any = _ZSTD.compress(content, asbytes=True)
    guarded = _FOLLOWS.pack(before, len(content)) + packed
    return _HEADER.pack(MAGIC, VERSION, xxh3_64_intdigest(guarded)) + guarded


def decode_delta(encoded: bytes) -> Follows:
    """The inverse of `encode_delta`.

    Raises:
        FleetRefused: The bytes are no delta, truncated, damaged, or of a version from the future.
    """
    if len(encoded) < _HEADER.size + _FOLLOWS.size:
        raise FleetRefused(f"{len(encoded)} bytes are no changes of a fleet")
    magic, version, checksum = _HEADER.unpack_from(encoded)
    if magic != MAGIC or version != VERSION:
        raise FleetRefused(f"no changes of version {VERSION}: they begin with {encoded[:6]!r}")
    guarded = encoded[_HEADER.size :]
    if xxh3_64_intdigest(guarded) != checksum:
        raise FleetRefused(f"{len(encoded)} bytes of changes, truncated or damaged")
    before, size = _FOLLOWS.unpack_from(guarded)
    content: Any = _ZSTD.decompress(guarded[_FOLLOWS.size :], size, asbytes=True)
    return Follows(before, _DECODE(content))


def _stream(batch: pa.RecordBatch) -> bytes:
    """The batch as a plain Arrow stream, without the columns that are null in all rows.

    Each column costs more than a reading's value. Not lz4 inside, since zstd packs the whole.
    """
    names = [n for n in batch.schema.names if batch.column(n).null_count < batch.num_rows]
    filled = batch.select(names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, filled.schema) as writer:
        writer.write_batch(filled)
    return sink.getvalue().to_pybytes()
