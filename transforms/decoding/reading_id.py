"""Reading ids: equal for a repeated reading, on every run and every engine."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest


def reading_ids(
    devices: Sequence[str],
    message_ids: Sequence[str | None],
    event_times: NDArray[np.int64],
    channels: Sequence[pa.Array],
) -> NDArray[np.int64]:
    """64-bit ids (xxh3) of readings.

    A reading with a message id is that device's message, whatever it carries. One without is its
    device, event time and channel values: two of those that are equal in all three are one reading.

    Args:
        devices: n device ids.
        message_ids: n message ids or None.
        event_times: n microseconds.
        channels: One array of n values a channel; null is a value of its own.

    Example:
        >>> times, values = np.array([5, 5, 5]), [pa.array([1.0, 1.0, 2.0])]
        >>> a, b, c = reading_ids("xxx", [None] * 3, times, values)
        >>> bool(a == b), bool(a == c)
        (True, False)
        >>> d, e, f = reading_ids("xxy", ["7"] * 3, times, values)
        >>> bool(d == e), bool(d == f)
        (True, False)
    """
    words = [event_times, *(word for channel in channels for word in _words(channel))]
    rows = np.ascontiguousarray(np.stack(words, axis=1)).tobytes()
    width = 8 * len(words)
    ids = [
        xxh3_64_intdigest(
            device.encode()
            + (b"\1" + message_id.encode() if message_id else b"\0" + rows[at : at + width])
        )
        for device, message_id, at in zip(
            devices, message_ids, range(0, len(rows), width), strict=True
        )
    ]
    return np.array(ids, np.uint64).view(np.int64)


def _words(channel: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A channel's bits and which of them are there; -0.0 counts as 0.0."""
    there = channel.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
    values = channel if pa.types.is_floating(channel.type) else channel.cast(pa.int64())
    whole = (values.fill_null(0) if values.null_count else values).to_numpy()
    return (whole + 0.0).view(np.int64) if whole.dtype == float else whole, there
