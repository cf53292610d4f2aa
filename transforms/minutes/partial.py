"""Partial sums of minutes as Arrow batches: what is combined and crosses the shuffle."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.schemas.channel import Channel
from eddyline.transforms.devices.channel_values import channel_values
from eddyline.transforms.minutes.minute_sums import (
    CHANNEL_SUMS,
    DEVICE_SUMS,
    Steps,
    add_readings,
    add_sums,
    new_sums,
)

MINUTE = 60_000_000
_TIME = pa.timestamp("us", tz="UTC")


def _schema(channels: int) -> pa.Schema:
    return pa.schema(
        [
            pa.field("device_id", pa.string(), nullable=False),
            pa.field("minute_start", _TIME, nullable=False),
            pa.field("site", pa.string()),
            pa.field("model", pa.string()),
            pa.field("device", pa.binary(DEVICE_SUMS.itemsize), nullable=False),
            pa.field("channels", pa.binary(CHANNEL_SUMS.itemsize * channels), nullable=False),
        ]
    )


NO_SUMS = pa.RecordBatch.from_pylist([], schema=_schema(0))
"""The part of no readings."""


def partial_sums(
    readings: pa.RecordBatch, channels: Sequence[Channel], steps: Steps
) -> pa.RecordBatch:
    """Sum a batch's readings by minute and device: one row for each, by minute.

    Args:
        readings: Unique readings, in any order, at least one.
        channels: The declared channels.
        steps: `steps_of(channels)`.
    """
    time = _integers(readings, "event_time")
    identity = _integers(readings, "reading_id")
    values = channel_values(readings, [channel.name for channel in channels])
    minute = time - time % MINUTE
    group, last = _grouped(minute, readings.column("device_id"), time, identity)
    devices, sums = new_sums(len(last), len(channels))
    add_readings(group, time, identity, values, steps.of(values), devices, sums)
    places = readings.select(["device_id", "site", "model"]).take(pa.array(last))
    return _batch(
        places.append_column("minute_start", pa.array(minute[last], _TIME)), devices, sums
    )


def merged(parts: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """One part of several: one row a minute and device, by minute, then device id."""
    together = pa.concat_batches(list(parts))
    from_devices, from_sums = sums_of(together)
    minute = _integers(together, "minute_start")
    group, last = _grouped(
        minute, together.column("device_id"), from_devices["last_time"], from_devices["last_id"]
    )
    devices, sums = new_sums(len(last), from_sums.shape[1])
    add_sums(group, from_devices, from_sums, devices, sums)
    # Of several parts of a device the one seen last says where it stands.
    return _batch(together.take(pa.array(last)), devices, sums)


def by_minute(part: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The minutes of a part, each with its start in microseconds."""
    minute = _integers(part, "minute_start")
    bounds = [0, *(np.flatnonzero(np.diff(minute)) + 1).tolist(), len(minute)]
    for start, end in pairwise(bounds):
        yield int(minute[start]), part.slice(start, end - start)


def _grouped(
    minute: NDArray[np.int64],
    device_id: pa.Array,
    time: NDArray[np.int64],
    identity: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each row's group of minute and device, and each group's last row by (time, identity)."""
    encoded = device_id.dictionary_encode()
    rank = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), object)))
    device = rank[encoded.indices.to_numpy()]
    order = np.lexsort((identity, time, device, minute))
    new = np.append(True, (np.diff(minute[order]) != 0) | (np.diff(device[order]) != 0))
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(new) - 1
    last = order[np.append(np.flatnonzero(new)[1:], len(order)) - 1]
    return group, last


def _integers(batch: pa.RecordBatch, column: str) -> NDArray[np.int64]:
    return batch.column(column).cast(pa.int64()).to_numpy()


def sums_of(part: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """A part's `DEVICE_SUMS`, shape `[n]`, and `CHANNEL_SUMS`, shape `[n, channels]`."""
    rows = part.num_rows
    return (
        np.frombuffer(_bytes(part.column("device")), DEVICE_SUMS),
        np.frombuffer(_bytes(part.column("channels")), CHANNEL_SUMS).reshape(rows, -1),
    )


def _bytes(column: pa.Array) -> memoryview:
    width = column.type.byte_width
    return memoryview(column.buffers()[1])[
        column.offset * width : (column.offset + len(column)) * width
    ]


def _batch(places: pa.RecordBatch, devices: np.ndarray, sums: np.ndarray) -> pa.RecordBatch:
    schema = _schema(sums.shape[1])
    packed = [
        pa.FixedSizeBinaryArray.from_buffers(
            schema.field(name).type, len(devices), [None, pa.py_buffer(array.view(np.uint8))]
        )
        for name, array in (("device", devices), ("channels", sums))
    ]
    named = [places.column(name) for name in schema.names[: -len(packed)]]
    return pa.RecordBatch.from_arrays(named + packed, schema=schema)
