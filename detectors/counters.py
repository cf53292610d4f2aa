"""Counters that are mostly zero, as few bytes: the sparse part of a device record.

Counters come in groups (a tree's leaves), whose length is a multiple of 8. A group is written as

- its summary, one bit a block of 8 counters: is any of them not zero?
- for each such block a mask byte, one bit a counter, then its counters that are not zero:
  one byte below 192, two below 16,320, else three (255, low byte, high byte).

Bits count from the lowest. The form takes any uint16 and is the same on every machine.
"""

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.kernel import buffer, given, kernel

ONE_BYTE = 192
TWO_BYTES = ONE_BYTE + 63 * 256
ESCAPE = 255
CORRUPT = -1


def largest_size(groups: int, length: int) -> int:
    """Return the most bytes that `pack` can need for this many groups.

    Examples:
        >>> largest_size(groups=20, length=256)
        16080
    """
    blocks = length // 8
    return groups * ((blocks + 7) // 8 + blocks + 3 * length)


@numba.njit(cache=True)
def put_count(out: NDArray[np.uint8], at: int, count: int) -> int:
    """Write one counter at `at` and return where the next goes.

    Examples:
        >>> out = np.zeros(6, dtype=np.uint8)
        >>> put_count.py_func(out, put_count.py_func(out, put_count.py_func(out, 0, 5), 300), 65000)
        6
        >>> out.tolist()
        [5, 192, 108, 255, 232, 253]
    """
    if count < ONE_BYTE:
        out[at] = count
        return at + 1
    if count < TWO_BYTES:
        rest = count - ONE_BYTE
        out[at] = ONE_BYTE + (rest >> 8)
        out[at + 1] = rest & 255
        return at + 2
    out[at] = ESCAPE
    out[at + 1] = count & 255
    out[at + 2] = count >> 8
    return at + 3


@kernel(
    types.void(
        given(types.uint8, 2),
        given(types.int64, 1),
        types.int64,
        given(types.int64, 1),
        types.int64,
        buffer(types.uint8, 1),
        buffer(types.int64, 1),
    )
)
def pack(
    state: NDArray[np.uint8],
    rows: NDArray[np.int64],
    plain: int,
    groups: NDArray[np.int64],
    length: int,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> None:
    """Write the bodies of some rows' records, one after the other.

    Args:
        state: The fleet as bytes, shape `[devices, bytes]`.
        rows: Which rows, in this order.
        plain: How many bytes at the start of a row are copied as they are.
        groups: Where each group of uint16 counters starts in a row, in bytes.
        length: Counters in a group, a multiple of 8.
        out: Takes the bodies; long enough for `plain` bytes and `largest_size` of every row.
        ends: Takes where each body ends in `out`.
    """
    at = 0
    for index in range(rows.size):
        row = state[rows[index]]
        for byte in range(plain):
            out[at + byte] = row[byte]
        at += plain
        for group in groups:
            counters = row[group : group + 2 * length].view(np.uint16)
            # Eight counters are two words: most blocks are passed over by one comparison.
            words = row[group : group + 2 * length].view(np.uint64)
            summary = at
            for _ in range((length + 63) // 64):
                out[at] = 0
                at += 1
            for block in range(length // 8):
                if words[2 * block] | words[2 * block + 1] == 0:
                    continue
                out[summary + (block >> 3)] |= 1 << (block & 7)
                mask = 0
                mask_at = at
                at += 1
                for bit in range(8):
                    count = int(counters[8 * block + bit])
                    if count:
                        mask |= 1 << bit
                        at = put_count(out, at, count)
                out[mask_at] = mask
        ends[index] = at


@kernel(
    types.void(
        given(types.uint8, 1),
        given(types.int64, 1),
        buffer(types.uint8, 2),
        given(types.int64, 1),
        types.int64,
        given(types.int64, 1),
        types.int64,
        buffer(types.boolean, 1),
    )
)
def unpack(
    bodies: NDArray[np.uint8],
    ends: NDArray[np.int64],
    state: NDArray[np.uint8],
    rows: NDArray[np.int64],
    plain: int,
    groups: NDArray[np.int64],
    length: int,
    good: NDArray[np.bool_],
) -> None:
    """Fill rows from bodies that `pack` wrote; a body that it cannot have written is not good.

    Args:
        bodies: One after the other.
        ends: Where each ends in `bodies`.
        state: The fleet as bytes; rows to be filled are zero before.
        rows: Which row each body fills. Where the body is not good it is left half filled.
        plain: As given to `pack`.
        groups: As given to `pack`.
        length: As given to `pack`.
        good: Takes for each body whether it was well formed.
    """
    start = 0
    for index in range(rows.size):
        end = ends[index]
        good[index] = (
            unpack_row(bodies[start:end], state[rows[index]], plain, groups, length) == end - start
        )
        start = end


@numba.njit(cache=True)
def unpack_row(
    body: NDArray[np.uint8],
    row: NDArray[np.uint8],
    plain: int,
    groups: NDArray[np.int64],
    length: int,
) -> int:
    """Fill one row and return how many bytes of the body it took, or CORRUPT."""
    if body.size < plain:
        return CORRUPT
    for byte in range(plain):
        row[byte] = body[byte]
    at = plain
    for group in groups:
        counters = row[group : group + 2 * length].view(np.uint16)
        summary = at
        at += (length + 63) // 64
        if at > body.size:
            return CORRUPT
        for block in range(length // 8):
            if not body[summary + (block >> 3)] >> (block & 7) & 1:
                continue
            if at >= body.size or body[at] == 0:
                return CORRUPT
            mask = body[at]
            at += 1
            for bit in range(8):
                if not mask >> bit & 1:
                    continue
                if at >= body.size:
                    return CORRUPT
                count = int(body[at])
                at += 1
                if count >= ONE_BYTE:
                    # Three bytes or two, and each must be there.
                    more = 2 if count == ESCAPE else 1
                    if at + more > body.size:
                        return CORRUPT
                    if more == 2:
                        count = int(body[at]) + (int(body[at + 1]) << 8)
                    else:
                        count = ONE_BYTE + ((count - ONE_BYTE) << 8) + int(body[at])
                    at += more
                if count == 0:
                    return CORRUPT
                counters[8 * block + bit] = count
    return at
