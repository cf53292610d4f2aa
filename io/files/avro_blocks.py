"""Avro container files: a block of records is a message."""

import bz2
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import zstandard

from eddyline.io.files.damaged import Damaged
from eddyline.io.files.row import Row

MAGIC = b"Obj\x01"
SYNC = 16
MAX_HEADER = 2**20
MAX_BLOCK = 64 * 2**20  # bytes, packed and unpacked


def avro_blocks(file: BinaryIO) -> Iterator[Row]:
    """Each block as a container of its own, unpacked; its number is that of its first record.

    Guarantee: every record before the first damaged block is in exactly one message, in order.
    Records are not looked at: what they hold is judged where messages are. Codecs: null, deflate,
    snappy, zstandard, bzip2.

    Args:
        file: Open for reading bytes.

    Raises:
        Damaged: It is no container, or damaged from the next record on.
    """
    reader = _Bytes(file)
    if not reader.more():
        return
    meta, sync = _header(reader)
    codec = meta.get("avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _CODECS:
        raise Damaged(f"codec {codec!r} is not read, but {', '.join(_CODECS)}")
    head = _head({**meta, "avro.codec": b"null"}, sync)
    number = 1
    while reader.more():
        count = reader.long()
        packed = reader.bytes(MAX_BLOCK)
        if reader.exactly(SYNC) != sync:
            raise Damaged("a block does not end with the sync marker")
        if count < 0:
            raise Damaged(f"a block of {count} records")
        try:
            block = _CODECS[codec](packed)
        except (ArithmeticError, LookupError, OSError, ValueError, *_ERRORS) as error:
            raise Damaged(f"a damaged block: {error}") from error
        yield Row(head + _long(count) + _long(len(block)) + block + sync, number)
        number += count


class _Bytes:
    """Reads what the container is made of."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = b""

    def more(self) -> bool:
        """Whether there are further bytes."""
        self._held = self._held or self._file.read(2**16)
        return bool(self._held)

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        parts: list[bytes] = []
        while size:
            if not self.more():
                raise Damaged("truncated")
            part, self._held = self._held[:size], self._held[size:]
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def long(self) -> int:
        """A number of up to 64 bits."""
        value = 0
        for shift in range(0, 70, 7):
            (byte,) = self.exactly(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
        raise Damaged("a number of more than 64 bits")

    def bytes(self, most: int) -> bytes:
        """Bytes behind their number."""
        size = self.long()
        if not 0 <= size <= most:
            raise Damaged(f"a part of {size} bytes: at most {most} are read")
        return self.exactly(size)


def _header(reader: _Bytes) -> tuple[dict[str, bytes], bytes]:
    if reader.exactly(len(MAGIC)) != MAGIC:
        raise Damaged("no Avro container")
    meta: dict[str, bytes] = {}
    size = 0
    while entries := reader.long():
        if entries < 0:
            entries = -entries
            reader.long()  # the bytes of these entries
        for _ in range(entries):
            name = reader.bytes(MAX_HEADER).decode("utf-8", "replace")
            meta[name] = reader.bytes(MAX_HEADER)
            size += len(name) + len(meta[name])
            if size > MAX_HEADER:
                raise Damaged(f"a header of more than {MAX_HEADER} bytes")
    return meta, reader.exactly(SYNC)


def _head(meta: dict[str, bytes], sync: bytes) -> bytes:
    entries = b"".join(
        _long(len(name.encode())) + name.encode() + _long(len(value)) + value
        for name, value in meta.items()
    )
    return MAGIC + _long(len(meta)) + entries + _long(0) + sync


def _long(value: int) -> bytes:
    """A number that is not negative, as Avro writes it."""
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _inflate(packed: bytes) -> bytes:
    stream = zlib.decompressobj(-15)
    return _whole(stream.decompress(packed, MAX_BLOCK), stream.eof)


def _bunzip(packed: bytes) -> bytes:
    stream = bz2.BZ2Decompressor()
    return _whole(stream.decompress(packed, MAX_BLOCK), stream.eof)


def _unzstd(packed: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        return _whole(stream.read(MAX_BLOCK), not stream.read(1))


def _unsnappy(packed: bytes) -> bytes:
    size = shift = 0
    for byte in packed[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > MAX_BLOCK:
        raise ValueError(f"{size} bytes unpacked")
    block = pa.Codec("snappy").decompress(packed[:-4], size, asbytes=True)
    if zlib.crc32(block) != int.from_bytes(packed[-4:], "big"):
        raise ValueError("its checksum is another one")
    return block


def _whole(block: bytes, ended: bool) -> bytes:
    if not ended:
        raise ValueError(f"truncated, or more than {MAX_BLOCK} bytes unpacked")
    return block


_ERRORS = (zlib.error, zstandard.ZstdError, pa.ArrowException)
_CODECS = {
    "null": bytes,
    "deflate": _inflate,
    "snappy": _unsnappy,
    "zstandard": _unzstd,
    "bzip2": _bunzip,
}
