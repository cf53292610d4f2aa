"""Rows of the minutes table, from sums, and which of them a further pane changed."""

import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from eddyline.schemas.channel import Channel
from eddyline.transforms.minutes.minute_sums import Steps, statistics
from eddyline.transforms.minutes.partial import sums_of

_STATISTICS = ("mean", "min", "max", "std", "first", "last")


def minute_rows(
    part: pa.RecordBatch,
    revision: Sequence[int],
    channels: Sequence[Channel],
    steps: Steps,
    schema: pa.Schema,
) -> pa.RecordBatch:
    """Rows of the `minute` record.

    Args:
        part: Merged partial sums, one row a device.
        revision: The revision of each row.
        channels: The declared channels.
        steps: `steps_of(channels)`.
        schema: The record's Arrow schema.
    """
    devices, sums = sums_of(part)
    columns = {name: part.column(name) for name in ("device_id", "minute_start", "site", "model")}
    columns["revision"] = pa.array(revision, pa.int64())
    columns["readings"] = pa.array(devices["readings"])
    values = statistics(sums, steps)
    for at, channel in enumerate(channels):
        columns[f"{channel.name}_count"] = pa.array(np.ascontiguousarray(sums["count"][:, at]))
        for name in _STATISTICS:
            column = pa.array(np.ascontiguousarray(values[name][:, at]), from_pandas=True)
            columns[f"{channel.name}_{name}"] = column
    return pa.RecordBatch.from_pydict(columns, schema=schema)


class Told:
    """What was told of a minute so far: each device's revision and number of readings.

    Guarantee: a pane is told once, however often or late an engine repeats it. A minute only
    gains readings, so a device whose number has not grown has not changed, and a pane that comes
    after a later one is behind and says nothing.
    """

    VERSION = 1
    _ENTRY = struct.Struct("<HII")

    def __init__(self, encoded: bytes | None = None) -> None:
        self._told: dict[str, tuple[int, int]] = {}
        if encoded is not None:
            self._decode(encoded)

    def revise(self, devices: Sequence[str], readings: Sequence[int]) -> list[int | None]:
        """The revision of each device that has changed, None for the others.

        Example:
            >>> told = Told()
            >>> told.revise(["a", "b"], [6, 6]), told.revise(["a", "b"], [6, 7])
            ([0, 0], [None, 1])
        """
        revisions: list[int | None] = []
        for device, number in zip(devices, readings, strict=True):
            revision, before = self._told.get(device, (-1, 0))
            if number > before:
                self._told[device] = (revision + 1, number)
            revisions.append(revision + 1 if number > before else None)
        return revisions

    def encode(self) -> bytes:
        """Its bytes: a version, then id, revision and number of each device.

        Example:
            >>> told = Told()
            >>> told.revise(["a"], [6])
            [0]
            >>> Told(told.encode()).revise(["a"], [7])
            [1]
        """
        parts = [bytes([self.VERSION])]
        for device, entry in self._told.items():
            name = device.encode()
            parts += [self._ENTRY.pack(len(name), *entry), name]
        return b"".join(parts)

    def _decode(self, encoded: bytes) -> None:
        if encoded[:1] != bytes([self.VERSION]):
            raise ValueError(f"no revisions of version {self.VERSION}: {encoded[:8]!r}")
        at = 1
        while at < len(encoded):
            size, revision, number = self._ENTRY.unpack_from(encoded, at)
            at += self._ENTRY.size
            self._told[encoded[at : at + size].decode()] = (revision, number)
            at += size
