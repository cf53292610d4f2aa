"""The fleet's bytes: one state value, versioned, with one packed record for every device."""

import logging
import struct
from collections import Counter

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from eddyline.schemas.ipc import decode_batch, encode_batch
from eddyline.transforms.admission import Admission, new_admission, recent_ids, remember_ids
from eddyline.transforms.fleet import Fleet

LOG = logging.getLogger(__name__)
MAGIC = b"EDFL"
VERSION = 1
# Magic, version, checksum of all that follows; then bytes of the devices, bytes of what waits.
_HEADER = struct.Struct("<4sHQ")
_SIZES = struct.Struct("<II")
_DEVICES = pa.schema(
    [
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("last_seen", pa.int64(), nullable=False),
        pa.field("frontier", pa.int64(), nullable=False),
        pa.field("recent", pa.list_(pa.int64()), nullable=False),
        pa.field("model", pa.binary(), nullable=False),
    ]
)


class FleetRefused(ValueError):
    """State that is not a fleet of a known version: the job must not go on over it."""


def encode_fleet(fleet: Fleet) -> bytes:
    """The fleet's state: header, the devices as one Arrow table, then the readings that wait.

    A device's row holds its id, its admission and its model's own record (`Detector.encode`), so
    that a device can be taken from one fleet into another.
    """
    ids, number = recent_ids(fleet.admission)
    offsets = np.append(0, np.cumsum(number)).astype(np.int32)
    devices = encode_batch(
        pa.RecordBatch.from_arrays(
            [
                pa.array(list(fleet.row), pa.string()),
                pa.array(fleet.admission.last_seen),
                pa.array(fleet.admission.frontier),
                pa.ListArray.from_arrays(offsets, ids),
                pa.array(fleet.detector.encode_many(fleet.models), pa.binary()),
            ],
            schema=_DEVICES,
        )
    )
    waiting = encode_batch(fleet.waiting) if fleet.waiting.num_rows else b""
    content = _SIZES.pack(len(devices), len(waiting)) + devices + waiting
    return _HEADER.pack(MAGIC, VERSION, xxh3_64_intdigest(content)) + content


def decode_fleet(state: bytes, fleet: Fleet) -> int:
    """Fill a new fleet from its bytes.

    A device whose model record is refused (another detector, other settings, damage) keeps its
    place in the stream and starts a warm-up. In readings that wait a channel that is new is null,
    one that is no longer declared goes.

    Returns:
        How many models were refused.

    Raises:
        FleetRefused: The bytes are no fleet, truncated, damaged, or of a version from the future;
            or readings wait of which a channel has become another type.
    """
    if len(state) < _HEADER.size:
        raise FleetRefused(f"{len(state)} bytes are no fleet")
    magic, version, checksum = _HEADER.unpack_from(state)
    if magic != MAGIC or version != VERSION:
        raise FleetRefused(f"no fleet of version {VERSION}: it begins with {state[:6]!r}")
    content = state[_HEADER.size :]
    if xxh3_64_intdigest(content) != checksum:
        raise FleetRefused(f"{len(state)} bytes, truncated or damaged")
    size, waiting = _SIZES.unpack_from(content)
    devices = _batch(content[_SIZES.size : _SIZES.size + size], _DEVICES)
    if waiting:
        fleet.waiting = _batch(content[_SIZES.size + size :], fleet.waiting_schema)
    fleet.row = {device: row for row, device in enumerate(devices.column("device_id").to_pylist())}
    fleet.admission = _admission(devices, fleet.admission.recent.shape[1])
    fleet.models = fleet.detector.new(devices.num_rows)
    refused = fleet.detector.decode_many(devices.column("model").to_pylist(), fleet.models)
    for reason, number in Counter(refusal.reason for refusal in refused.values()).items():
        LOG.warning("%d devices learn anew: %s", number, reason)
    return len(refused)


def _admission(devices: pa.RecordBatch, remember: int) -> Admission:
    admission = new_admission(devices.num_rows, remember)
    admission.last_seen[:] = devices.column("last_seen").to_numpy()
    admission.frontier[:] = devices.column("frontier").to_numpy()
    recent = devices.column("recent")
    remember_ids(admission, recent.flatten().to_numpy(), recent.value_lengths().to_numpy())
    return admission


def _batch(encoded: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the columns of `schema`: one that the bytes lack is null, others go."""
    batch = decode_batch(encoded)
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
