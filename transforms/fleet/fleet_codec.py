"""The fleet's bytes: one state value, versioned, with one packed record for every device."""

import struct

import msgspec
from xxhash import xxh3_64_intdigest

from eddyline.schemas.ipc import decode_batch, encode_batch
from eddyline.transforms.fleet.fill_fleet import fill
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_parts import (
    DEVICES,
    DEVICES_1,
    Cases,
    FleetRefused,
    Parts,
    conform,
    parts_of,
)

MAGIC = b"EDFL"
# Version 1 had no casebook. Version 3 is as 2, but a log can follow it (`fleet_log`): a release
# that knows of none must not take such a state for all there is.
VERSION = 3
# Magic, version, checksum of all that follows; then the bytes of the devices, of what waits and,
# since version 2, of the casebook.
_HEADER = struct.Struct("<4sHQ")
_SIZES = {1: struct.Struct("<II"), 2: struct.Struct("<III"), 3: struct.Struct("<III")}
# Sorted, so that fleets that are the same have the same bytes.
_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode
_DECODE = msgspec.msgpack.Decoder(Cases).decode


def encode_fleet(fleet: Fleet) -> bytes:
    """The fleet's state: header, the devices as one Arrow table, what waits, the casebook.

    A device's row holds its id, its admission, its model's own record (`Detector.encode`) and its
    course (cadence, recent scores), so that a device can be taken from one fleet into another. The
    casebook's part holds open incidents, raised thresholds and waiting commands by device, and how
    far the stream is.
    """
    return put_together(parts_of(fleet))


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

    See `fill`. A fleet of version 1 knows no cadences and no incidents.

    Returns:
        How many models were refused.

    Raises:
        FleetRefused: The bytes are no fleet, truncated, damaged, or of a version from the future;
            or readings wait of which a channel has become another type.
    """
    return fill(fleet, take_apart(state))


def version_of(state: bytes) -> int:
    """The version of a state that `take_apart` takes."""
    return _HEADER.unpack_from(state)[1]


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
        conform(decode_batch(blocks[0]), DEVICES_1 if version == 1 else DEVICES),
        (decode_batch(blocks[1]),) if blocks[1] else (),
        _DECODE(blocks[2]) if version > 1 else Cases(),
    )
