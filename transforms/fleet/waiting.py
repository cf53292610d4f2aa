"""Waiting: the readings that are not in order yet."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Waiting:
    """The readings of a fleet that wait to be in order, in the order of their arrival.

    It knows which of them waited when the state was last written, so that what has changed since
    can be told: some have gone, others have come behind those that stay.

    Args:
        schema: Of the readings.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.readings = pa.RecordBatch.from_pylist([], schema=schema)
        self.device = np.empty(0, np.int32)
        self.time = np.empty(0, np.int64)
        self._written = 0
        self._stay = np.empty(0, np.uint32)

    def __len__(self) -> int:
        return len(self.time)

    def add(self, readings: pa.RecordBatch, device: NDArray[np.int32]) -> None:
        """Take readings that wait behind all others.

        Args:
            readings: With the columns that wait, and others.
            device: The row of each one's device.
        """
        if not readings.num_rows:
            return
        readings = readings.select(self.readings.schema.names)
        together = [batch for batch in (self.readings, readings) if batch.num_rows]
        self.readings = pa.concat_batches(together)
        self.device = np.concatenate([self.device, device])
        self.time = np.concatenate([self.time, _integers(readings, "event_time")])

    def release(self, until: NDArray[np.int64]) -> tuple[pa.RecordBatch, NDArray[np.int32]]:
        """Take out what waits before its device's `until`, by (event time, reading id).

        Args:
            until: Microseconds, by the row of the device.

        Returns:
            The readings, and the row of each one's device.
        """
        goes = self.time < until[self.device]
        rows = np.flatnonzero(goes)
        if not len(rows):
            return self.readings.slice(0, 0), self.device[:0]
        identity = _integers(self.readings, "reading_id")
        rows = rows[np.lexsort((identity[rows], self.time[rows]))]
        released, device = self.readings.take(pa.array(rows)), self.device[rows]
        stays = ~goes
        self.readings = self.readings.filter(pa.array(stays))
        self.device, self.time = self.device[stays], self.time[stays]
        self._stay = self._stay[stays[: len(self._stay)]]
        return released, device

    def changed(self) -> tuple[NDArray[np.uint32], pa.RecordBatch]:
        """What has changed since `settle`.

        Returns:
            The places, among those that waited then, of the readings that have gone; and the
            readings that have come, which wait behind those that stay.
        """
        gone = np.ones(self._written, np.bool_)
        gone[self._stay] = False
        return np.flatnonzero(gone).astype(np.uint32), self.readings.slice(len(self._stay))

    def settle(self) -> None:
        """All that waits is in the state now."""
        self._written = len(self)
        self._stay = np.arange(self._written, dtype=np.uint32)


def _integers(batch: pa.RecordBatch, column: str) -> NDArray[np.int64]:
    return batch.column(column).cast(pa.int64()).to_numpy()
