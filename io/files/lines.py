"""Lines of a file as batches of messages."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eddyline.io.files.damaged import Damaged
from eddyline.schemas.message import MESSAGE_SCHEMA

CHUNK = 2**20
LONGEST = 32 * 2**20


def lines_of(file: BinaryIO, longest: int = LONGEST) -> Iterator[bytes]:
    r"""The lines, without the `\n` at their ends; memory stays near `longest`.

    Guarantee: every byte but those `\n` is in exactly one line. What is longer than `longest`
    comes in pieces of that length, each of them a line. An empty line is a line; nothing follows
    the last `\n`.

    Raises:
        Damaged: The file is; its `rest` is the line in which it breaks off.

    Example:
        >>> import io
        >>> list(lines_of(io.BytesIO(b"one\n\ntwo")))
        [b'one', b'', b'two']
    """
    rest = b""
    while chunk := _chunk(file, rest):
        *whole, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else [rest + chunk]
        for line in whole:
            if len(line) > longest:
                yield from _pieces(line, longest)
            else:
                yield line
        *pieces, rest = _pieces(rest, longest)
        yield from pieces
    if rest:
        yield rest


def _chunk(file: BinaryIO, rest: bytes) -> bytes:
    try:
        return file.read(CHUNK)
    except Damaged as error:
        error.rest = rest
        raise


def _pieces(line: bytes, longest: int) -> list[bytes]:
    """The line in pieces of `longest` bytes, the last one as long as what is left."""
    if len(line) <= longest:
        return [line]
    return [line[at : at + longest] for at in range(0, len(line), longest)]


def line_batches(
    file: BinaryIO, source: str, arrival_time: int, rows: int
) -> Iterator[pa.RecordBatch]:
    """Batches of at most `rows` messages, one a line, in the file's order.

    A message's position is its line's number from 1, as text of 12 digits that compares in order.
    Where the file is damaged, the lines before that are given.

    Args:
        file: Open for reading bytes.
        source: The file's name.
        arrival_time: Of every message, microseconds since the epoch.
        rows: Most messages a batch; fewer where they hold more than 8 MiB.

    Raises:
        Damaged: The file is; its `rest` is the line in which it breaks off.
    """
    gathered: list[bytes] = []
    size, first = 0, 1
    damaged = None
    try:
        for line in lines_of(file):
            gathered.append(line)
            size += len(line)
            if len(gathered) == rows or size > 8 * CHUNK:
                yield _batch(gathered, source, first, arrival_time)
                first += len(gathered)
                gathered, size = [], 0
    except Damaged as error:
        damaged = error
    if gathered:
        yield _batch(gathered, source, first, arrival_time)
    if damaged is not None:
        raise damaged


def _batch(lines: list[bytes], source: str, first: int, arrival_time: int) -> pa.RecordBatch:
    rows = len(lines)
    numbers = pa.array(np.arange(first, first + rows)).cast(pa.string())
    lpad = pc.get_function("utf8_lpad")
    return pa.RecordBatch.from_arrays(
        [
            pa.array(lines, pa.binary()),
            pa.MapArray.from_arrays(
                np.zeros(rows + 1, np.int32),
                pa.array([], pa.string()),
                pa.array([], pa.string()),
                type=MESSAGE_SCHEMA.field("attributes").type,
            ),
            pa.array([source] * rows, pa.string()),
            lpad.call([numbers], pc.PadOptions(12, "0")),
            pa.array(np.full(rows, arrival_time), MESSAGE_SCHEMA.field("arrival_time").type),
        ],
        schema=MESSAGE_SCHEMA,
    )
