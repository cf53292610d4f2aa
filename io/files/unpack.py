"""Unpack gzip, bzip2 and zstandard piece by piece, and tell truncated from whole."""

import bz2
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

import zstandard

from eddyline.io.files.damaged import Damaged

FEED = 2**16
PIECE = 2**20
ZSTD_FEED = 2**9  # it has no limit for what it gives, up to 32,768 times of what it is fed


class Pieces:
    """Pieces of bytes as a file that is read forward.

    Example:
        >>> file = Pieces(iter([b"ab", b"", b"cde"]))
        >>> file.read(1), file.read(9), file.read(9), file.read(9)
        (b'a', b'b', b'cde', b'')
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held, self._at = b"", 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end alone.

        Raises:
            Damaged: It is truncated or damaged; all bytes before that were given.
        """
        while self._at == len(self._held):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held, self._at = piece, 0
        given = self._held[self._at : self._at + size]
        self._at += len(given)
        return given


def unpacker_of(path: str) -> Callable[[BinaryIO], Iterator[bytes]] | None:
    """What unpacks a file, by the ending of its name.

    Example:
        >>> unpacker_of("a.jsonl.gz").__name__, unpacker_of("a.jsonl")
        ('gunzipped', None)
    """
    return _UNPACKERS.get(PurePosixPath(path).suffix)


def gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """The pieces of a gzip file, also of several that were joined; zeros may follow.

    Raises:
        Damaged: It is truncated or damaged.
    """
    stream, begun = zlib.decompressobj(31), False
    while fed := file.read(FEED):
        while fed:
            if stream.eof:
                fed = fed.lstrip(b"\0")
                stream, begun = zlib.decompressobj(31), False
                continue
            begun = True
            try:
                piece = stream.decompress(fed, PIECE)
            except zlib.error as error:
                raise Damaged(f"damaged gzip: {error}") from error
            yield piece
            fed = stream.unused_data if stream.eof else stream.unconsumed_tail
    if begun and not stream.eof:
        yield stream.flush()
        if not stream.eof:
            raise Damaged("truncated gzip")


def bunzipped(file: BinaryIO) -> Iterator[bytes]:
    """The pieces of a bzip2 file, also of several that were joined.

    Raises:
        Damaged: It is truncated or damaged.
    """
    stream, fed = bz2.BZ2Decompressor(), b""
    begun = False
    while True:
        if stream.eof:
            stream, fed, begun = bz2.BZ2Decompressor(), stream.unused_data, False
        if stream.needs_input and not fed:
            fed = file.read(FEED)
            if not fed:
                break
        begun = True
        try:
            yield stream.decompress(fed, PIECE)
        except OSError as error:
            raise Damaged(f"damaged bzip2: {error}") from error
        fed = b""
    if begun:
        raise Damaged("truncated bzip2")


def unzstd(file: BinaryIO) -> Iterator[bytes]:
    """The pieces of a zstandard file, also of several that were joined.

    Raises:
        Damaged: It is truncated or damaged.
    """
    unpacker = zstandard.ZstdDecompressor()
    stream, begun = unpacker.decompressobj(), False
    while fed := file.read(ZSTD_FEED):
        while fed:
            begun = True
            try:
                yield stream.decompress(fed)
            except zstandard.ZstdError as error:
                raise Damaged(f"damaged zstandard: {error}") from error
            fed = b""
            if stream.eof:
                fed, stream, begun = stream.unused_data, unpacker.decompressobj(), False
    if begun:
        raise Damaged("truncated zstandard")


_UNPACKERS = {".gz": gunzipped, ".bz2": bunzipped, ".zst": unzstd}
