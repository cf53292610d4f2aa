"""The fleet's bytes: one state value, versioned, with one packed record for every device."""

import logging
import struct

import numpy as np
import pyarrow as pa

from eddyline.detectors.protocol import RecordRefused
from eddyline.transforms.admission import Admission, new_admission, recent_ids, remember_ids
from eddyline.transforms.fleet import Fleet

LOG = logging.getLogger(__name__)
MAGIC = b"EDFL"
VERSION = 1
_HEADER = struct.Struct("<4sHII")  # magic, version, bytes of the devices, bytes of what waits


class FleetRefused(ValueError):
    """State that is not a fleet of a known version: the job must not go on over it."""


def encode_fleet(fleet: Fleet) -> bytes:
    """The fleet's state: header, the devices as one Arrow table, then the readings that wait.

    A device's row holds its id, its admission and its model's own record (`Detector.encode`), so
    that a device can be taken from one fleet into another.
    """
    admission, rows = fleet.admission, range(len(fleet.row))
    records = [fleet.detector.encode(fleet.models, row) for row in rows]
    devices = _ipc(
        pa.RecordBatch.from_pydict(
            {
                "device_id": pa.array(list(fleet.row), pa.string()),
                "last_seen": admission.last_seen,
                "frontier": admission.frontier,
                "recent": pa.array(
                    [recent_ids(admission, row) for row in rows], pa.list_(pa.int64())
                ),
                "model": pa.array(records, pa.binary()),
            }
        )
    )
    waiting = _ipc(fleet.waiting) if fleet.waiting is not None and fleet.waiting.num_rows else b""
    return _HEADER.pack(MAGIC, VERSION, len(devices), len(waiting)) + devices + waiting


def decode_fleet(state: bytes, fleet: Fleet) -> int:
    """Fill a new fleet from its bytes.

    A device whose model record is refused (another detector, other settings, damage) keeps its
    place in the stream and starts a warm-up.

    Returns:
        How many models were refused.

    Raises:
        FleetRefused: The bytes are no fleet, truncated, or of a version from the future.
    """
    if len(state) < _HEADER.size:
        raise FleetRefused(f"{len(state)} bytes are no fleet")
    magic, version, size, waiting = _HEADER.unpack_from(state)
    if magic != MAGIC or version != VERSION:
        raise FleetRefused(f"no fleet of version {VERSION}: it begins with {state[:6]!r}")
    if len(state) != _HEADER.size + size + waiting:
        raise FleetRefused(f"{len(state)} bytes where {_HEADER.size + size + waiting} belong")
    devices = _batch(state[_HEADER.size : _HEADER.size + size])
    if waiting:
        fleet.waiting = _batch(state[_HEADER.size + size :])
    fleet.row = {device: row for row, device in enumerate(devices.column("device_id").to_pylist())}
    fleet.admission = _admission(devices, fleet.admission.recent.shape[1])
    fleet.models = fleet.detector.new(devices.num_rows)
    refused = 0
    for row, record in enumerate(devices.column("model").to_pylist()):
        try:
            fleet.detector.decode(record, fleet.models, row)
        except RecordRefused as error:
            refused += 1
            LOG.warning("a device learns anew: %s", error)
    return refused


def _admission(devices: pa.RecordBatch, remember: int) -> Admission:
    admission = new_admission(devices.num_rows, remember)
    admission.last_seen[:] = devices.column("last_seen").to_numpy()
    admission.frontier[:] = devices.column("frontier").to_numpy()
    for row, ids in enumerate(devices.column("recent")):
        remember_ids(admission, row, np.array(ids.as_py(), np.int64))
    return admission


def _ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _batch(encoded: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(encoded).read_next_batch()
