"""The fleet's bytes: one state value, versioned, with one packed record for every device."""

import logging
import struct
from collections import Counter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from eddyline.schemas.ipc import decode_batch, encode_batch
from eddyline.transforms.devices.admission import (
    NEVER,
    Admission,
    new_admission,
    recent_ids,
    remember_ids,
)
from eddyline.transforms.devices.fleet import Fleet
from eddyline.transforms.incidents.cadence import Cadence
from eddyline.transforms.incidents.casebook import Casebook
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.trouble import Troubles

LOG = logging.getLogger(__name__)
MAGIC = b"EDFL"
VERSION = 2
# Magic, version, checksum of all that follows; then the bytes of the devices, of what waits and,
# since version 2, of the casebook.
_HEADER = struct.Struct("<4sHQ")
_SIZES = {1: struct.Struct("<II"), 2: struct.Struct("<III")}
_DEVICES = pa.schema(
    [
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("last_seen", pa.int64(), nullable=False),
        pa.field("frontier", pa.int64(), nullable=False),
        pa.field("recent", pa.list_(pa.int64()), nullable=False),
        pa.field("model", pa.binary(), nullable=False),
    ]
)
# One column, because each costs more than its numbers: little-endian 64-bit ones.
_COURSE = np.dtype(
    [
        *(
            (name, "<i8" if name in ("first", "last", "gaps") else "<f8")
            for name in Cadence._fields
        ),
        ("recent", "<f8"),
    ]
)
_SINCE_2 = pa.schema([pa.field("course", pa.binary(_COURSE.itemsize), nullable=False)])
_DEVICES_2 = pa.schema([*_DEVICES, *_SINCE_2])


class Cases(msgspec.Struct, array_like=True):
    """The casebook's part: what few devices have, by id."""

    stream: int = NEVER
    began: int = NEVER
    troubles: dict[str, Troubles] = {}
    commands: dict[str, list[Command]] = {}


_ENCODE, _DECODE = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Cases).decode


class Parts(NamedTuple):
    """A fleet's state taken apart.

    Args:
        devices: A row a device, with the columns of its version.
        waiting: The readings that wait, with the columns that they came with.
        cases: The casebook's part.
    """

    devices: pa.RecordBatch
    waiting: tuple[pa.RecordBatch, ...]
    cases: Cases


class FleetRefused(ValueError):
    """State that is not a fleet of a known version: the job must not go on over it."""


def encode_fleet(fleet: Fleet) -> bytes:
    """The fleet's state: header, the devices as one Arrow table, what waits, the casebook.

    A device's row holds its id, its admission, its model's own record (`Detector.encode`) and its
    course (cadence, recent scores), so that a device can be taken from one fleet into another. The
    casebook's part holds open incidents, raised thresholds and waiting commands by device, and how
    far the stream is.
    """
    return put_together(parts_of(fleet))


def parts_of(fleet: Fleet) -> Parts:
    """What a fleet's state is made of."""
    ids, number = recent_ids(fleet.admission)
    offsets = np.append(0, np.cumsum(number)).astype(np.int32)
    devices = pa.RecordBatch.from_arrays(
        [
            pa.array(list(fleet.row), pa.string()),
            pa.array(fleet.admission.last_seen),
            pa.array(fleet.admission.frontier),
            pa.ListArray.from_arrays(offsets, ids),
            pa.array(fleet.detector.encode_many(fleet.models), pa.binary()),
            _packed(fleet.casebook),
        ],
        schema=_DEVICES_2,
    )
    book = fleet.casebook
    return Parts(
        devices,
        (fleet.waiting,) if fleet.waiting.num_rows else (),
        Cases(book.stream, book.began, book.troubles, book.commands),
    )


def put_together(parts: Parts) -> bytes:
    """The state that these parts are of; the inverse of `take_apart`, for one batch that waits."""
    devices = encode_batch(parts.devices)
    waiting = b"".join(encode_batch(batch) for batch in parts.waiting)
    cases = _ENCODE(parts.cases)
    sizes = _SIZES[VERSION].pack(len(devices), len(waiting), len(cases))
    content = b"".join((sizes, devices, waiting, cases))
    return _HEADER.pack(MAGIC, VERSION, xxh3_64_intdigest(content)) + content


def decode_fleet(state: bytes, fleet: Fleet) -> int:
    """Fill a new fleet from its bytes.

    A device whose model record is refused (another detector, other settings, damage) keeps its
    place in the stream and starts a warm-up. In readings that wait a channel that is new is null,
    one that is no longer declared goes. A fleet of version 1 knows no cadences and no incidents.

    Returns:
        How many models were refused.

    Raises:
        FleetRefused: The bytes are no fleet, truncated, damaged, or of a version from the future;
            or readings wait of which a channel has become another type.
    """
    return fill(fleet, take_apart(state))


def take_apart(state: bytes) -> Parts:
    """The parts of a state, of whatever version.

    Raises:
        FleetRefused: The bytes are no fleet, truncated, damaged, or of a version from the future.
    """
    if len(state) < _HEADER.size:
        raise FleetRefused(f"{len(state)} bytes are no fleet")
    magic, version, checksum = _HEADER.unpack_from(state)
    if magic != MAGIC or version not in _SIZES:
        raise FleetRefused(f"no fleet of version 1 to {VERSION}: it begins with {state[:6]!r}")
    content = state[_HEADER.size :]
    if xxh3_64_intdigest(content) != checksum:
        raise FleetRefused(f"{len(state)} bytes, truncated or damaged")
    layout = _SIZES[version]
    blocks: list[bytes] = []
    start = layout.size
    for size in layout.unpack_from(content):
        blocks.append(content[start : start + size])
        start += size
    return Parts(
        conform(decode_batch(blocks[0]), _DEVICES if version == 1 else _DEVICES_2),
        (decode_batch(blocks[1]),) if blocks[1] else (),
        _DECODE(blocks[2]) if version > 1 else Cases(),
    )


def fill(fleet: Fleet, parts: Parts) -> int:
    """Fill a new fleet from the parts of its state; see `decode_fleet`.

    Returns:
        How many models were refused.

    Raises:
        FleetRefused: Readings wait of which a channel has become another type.
    """
    devices, cases = parts.devices, parts.cases
    if parts.waiting:
        waiting = [conform(batch, fleet.waiting_schema) for batch in parts.waiting]
        fleet.waiting = pa.concat_batches(waiting)
    fleet.row = {device: row for row, device in enumerate(devices.column("device_id").to_pylist())}
    fleet.admission = _admission(devices, fleet.admission.recent.shape[1])
    fleet.models = fleet.detector.new(devices.num_rows)
    refused = fleet.detector.decode_many(devices.column("model").to_pylist(), fleet.models)
    for reason, number in Counter(refusal.reason for refusal in refused.values()).items():
        LOG.warning("%d devices learn anew: %s", number, reason)
    fleet.casebook.add(fleet.row)
    if "course" in devices.schema.names:
        _unpack(devices.column("course"), fleet.casebook)
    fleet.casebook.restore(cases.troubles, cases.commands, cases.stream, cases.began)
    return len(refused)


def _columns(book: Casebook) -> dict[str, Any]:
    return book.cadence._asdict() | {"recent": book.recent}


def _packed(book: Casebook) -> pa.Array:
    rows = np.empty(len(book.ids), _COURSE)
    for name, column in _columns(book).items():
        rows[name] = column
    kind = _SINCE_2.field("course").type
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)])


def _unpack(packed: pa.Array, book: Casebook) -> None:
    start = packed.offset * _COURSE.itemsize
    content = memoryview(packed.buffers()[1])[start : start + len(packed) * _COURSE.itemsize]
    rows: Any = np.frombuffer(content, _COURSE)
    for name, column in _columns(book).items():
        column[:] = rows[name]


def _admission(devices: pa.RecordBatch, remember: int) -> Admission:
    admission = new_admission(devices.num_rows, remember)
    admission.last_seen[:] = devices.column("last_seen").to_numpy()
    admission.frontier[:] = devices.column("frontier").to_numpy()
    recent = devices.column("recent")
    remember_ids(admission, recent.flatten().to_numpy(), recent.value_lengths().to_numpy())
    return admission


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the columns of `schema`: one that it lacks is null, others go."""
    columns = {
        field.name: batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    }
    try:
        return pa.RecordBatch.from_pydict(columns, schema=schema)
    except pa.ArrowInvalid as error:
        raise FleetRefused(f"a channel's type changed while readings wait: {error}") from error
