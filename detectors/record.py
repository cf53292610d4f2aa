"""One device's model as one record: versioned, self-describing, the same bytes on every machine.

A record, all numbers little-endian:

    magic "EDDY" | format version u8 | length of the record u32 | checksum u32 of what follows |
    settings hash, 8 bytes | detector name (length u8, ASCII) | channels (count u16, tag u32 each) |
    the model's plain fields | its counters, sparse (`eddyline.detectors.counters`)

The tag of a channel is a hash of its name. The plain fields are those of each channel, then those
of the device, as they lie in memory (`eddyline.detectors.layout`).
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.counters import largest_size, pack, unpack
from eddyline.detectors.layout import Layout, bytes_of
from eddyline.detectors.protocol import RecordRefused

MAGIC = b"EDDY"
VERSION = 1
FRAME = struct.Struct("<4sBII")
HASH_BYTES = 8
# Rows packed at once: bounds the working memory to some MB, whatever the size of the fleet.
CHUNK = 256


def settings_hash(settings: Mapping[str, object]) -> bytes:
    """Return 8 bytes that stand for the settings a model depends on.

    A threshold is none of them: it changes verdicts and not what was learned.

    Examples:
        >>> settings_hash({"height": 8, "seed": 42}) == settings_hash({"seed": 42, "height": 8})
        True
    """
    return xxhash.xxh64_digest(json.dumps(settings, sort_keys=True).encode())


def channel_tag(name: str) -> bytes:
    """Return the 4 bytes that stand for a channel's name in a record.

    Examples:
        >>> len(channel_tag("temperature"))
        4
    """
    return xxhash.xxh32_intdigest(name.encode()).to_bytes(4, "little")


def checksum(content: bytes | memoryview) -> int:
    """Return the 32 bits that guard a record's content.

    Examples:
        >>> checksum(b"") == checksum(memoryview(b""))
        True
    """
    return xxhash.xxh3_64_intdigest(content) & 0xFFFFFFFF


@dataclass(frozen=True)
class RecordCodec:
    """Writes rows of a fleet as records and reads them back, bit-equal.

    Args:
        detector: Name of the detector, ASCII.
        settings: Hash of the settings that the model depends on.
        channels: Names of the channels, in the order of the layout.
        layout: How a model lies in memory.
        keep_channels: Whether a record of other channels is of use: then the channels in common
            keep their fields and the device its own, wherever they stand now; new channels are
            fresh, and so are all counters, which are of the channels together. Without it such a
            record is refused with the reason `channels`.
    """

    detector: str
    settings: bytes
    channels: tuple[str, ...]
    layout: Layout
    keep_channels: bool = False

    @cached_property
    def _prefix(self) -> bytes:
        name = self.detector.encode("ascii")
        tags = b"".join(channel_tag(channel) for channel in self.channels)
        count = struct.pack("<H", len(self.channels))
        return self.settings + bytes([len(name)]) + name + count + tags

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all.

        Args:
            state: The fleet, of the layout's dtype and contiguous.
            rows: Which rows, in this order.

        Raises:
            IndexError: The fleet has no such row.
        """
        chosen = self._rows(state, range(len(state)) if rows is None else rows)
        data = bytes_of(state)
        layout = self.layout
        records: list[bytes] = []
        largest = layout.plain + largest_size(len(layout.groups), layout.length)
        for first in range(0, len(chosen), CHUNK):
            part = chosen[first : first + CHUNK]
            out = np.empty(largest * len(part), dtype=np.uint8)
            ends = np.empty(len(part), dtype=np.int64)
            pack(data, part, layout.plain, layout.groups, layout.length, out, ends)
            bodies = out[: ends[-1]].tobytes()
            start = 0
            for end in ends.tolist():
                content = self._prefix + bodies[start:end]
                records.append(
                    FRAME.pack(MAGIC, VERSION, FRAME.size + len(content), checksum(content))
                    + content
                )
                start = end
        return records

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows, or the first ones, from records; a refused record leaves a fresh row.

        Args:
            records: As `encode_many` returns them.
            state: The fleet, of the layout's dtype and contiguous; changed in place.
            rows: Which row each record fills; no row twice.

        Returns:
            Position in `records` to the reason, for those that were refused.

        Raises:
            IndexError: The fleet has no such row.
        """
        chosen = self._rows(state, range(len(records)) if rows is None else rows)
        state[chosen] = np.zeros((), state.dtype)
        refused: dict[int, RecordRefused] = {}
        bodies: list[bytes] = []
        places: list[int] = []
        start = FRAME.size + len(self._prefix)
        for place, record in enumerate(records):
            try:
                check_frame(record)
                if record.startswith(self._prefix, FRAME.size):
                    bodies.append(record[start:])
                    places.append(place)
                else:
                    self._decode_other(record, state, int(chosen[place]))
            except RecordRefused as refusal:
                refused[place] = refusal
        good = self._fill(bodies, state, chosen[places])
        for place, fine in zip(places, good.tolist(), strict=True):
            if not fine:
                refused[place] = RecordRefused("corrupt", "the counters are malformed")
                state[chosen[place]] = np.zeros((), state.dtype)
        return refused

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return the record of one row."""
        return self.encode_many(state, (row,))[0]

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row from a record.

        Raises:
            RecordRefused: With the reason; the row is then fresh.
        """
        for refusal in self.decode_many((record,), state, (row,)).values():
            raise refusal

    def _rows(self, state: NDArray[Any], rows: Sequence[int]) -> NDArray[np.int64]:
        chosen = np.asarray(rows, dtype=np.int64)
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(state)):
            raise IndexError(f"rows {chosen.min()} to {chosen.max()} of a fleet of {len(state)}")
        return chosen

    def _fill(
        self, bodies: Sequence[bytes], state: NDArray[Any], rows: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        good = np.zeros(len(bodies), dtype=np.bool_)
        ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
        joined = np.frombuffer(b"".join(bodies), dtype=np.uint8)
        layout = self.layout
        data = bytes_of(state)
        unpack(joined, ends, data, rows, layout.plain, layout.groups, layout.length, good)
        return good

    def _decode_other(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Take what is of use of a sound record that is not of exactly these settings."""
        content = record[FRAME.size :]
        name_at = HASH_BYTES + 1
        name_end = name_at + (content[HASH_BYTES] if len(content) > HASH_BYTES else 0)
        count_bytes = content[name_end : name_end + 2]
        if len(count_bytes) < 2:
            raise RecordRefused("corrupt", "the header ends early")
        (count,) = struct.unpack("<H", count_bytes)
        tags_at = name_end + 2
        body_at = tags_at + 4 * count
        name = content[name_at:name_end]
        if name != self.detector.encode("ascii"):
            raise RecordRefused("detector", f"{name.decode('ascii', 'replace')!r}")
        if content[:HASH_BYTES] != self.settings:
            raise RecordRefused("settings", f"{content[:HASH_BYTES].hex()}")
        if not self.keep_channels or count == 0:
            raise RecordRefused("channels", f"the model was learned on {count} channels")
        tags = [content[at : at + 4] for at in range(tags_at, body_at, 4)]
        layout = replace(self.layout, channels=count)
        other = layout.new(1)
        codec = replace(self, layout=layout)
        if not codec._fill([content[body_at:]], other, np.zeros(1, dtype=np.int64))[0]:  # noqa: SLF001 - of its own class
            raise RecordRefused("corrupt", "the fields do not belong to the channels")
        for column, channel in enumerate(self.channels):
            if channel_tag(channel) in tags:
                state["channel"][row, column] = other["channel"][
                    0, tags.index(channel_tag(channel))
                ]
        for name_of_field, _ in layout.device:
            state[name_of_field][row] = other[name_of_field][0]


def check_frame(record: bytes) -> None:
    """Check magic, version, length and checksum of a record.

    Raises:
        RecordRefused: truncated, foreign, version or corrupt.

    Examples:
        >>> check_frame(b"PAR1" + bytes(40))
        Traceback (most recent call last):
            ...
        eddyline.detectors.protocol.RecordRefused: foreign: starts with b'PAR1'
    """
    if not record.startswith(MAGIC):
        if MAGIC.startswith(record):
            raise RecordRefused("truncated", f"{len(record)} bytes")
        raise RecordRefused("foreign", f"starts with {record[:4]!r}")
    if len(record) < FRAME.size:
        raise RecordRefused("truncated", f"{len(record)} bytes")
    _, version, length, expected = FRAME.unpack_from(record)
    if version != VERSION:
        raise RecordRefused("version", f"{version}, this is {VERSION}")
    if len(record) < length:
        raise RecordRefused("truncated", f"{len(record)} of {length} bytes")
    # The checksum does not cover the length that stands before it.
    if len(record) > length:
        raise RecordRefused("corrupt", f"{len(record) - length} bytes too many")
    if checksum(memoryview(record)[FRAME.size :]) != expected:
        raise RecordRefused("corrupt", "the checksum does not agree")


def channel_names(channels: Sequence[Channel]) -> tuple[str, ...]:
    """Return the names, as a codec takes them."""
    return tuple(channel.name for channel in channels)
