"""The file of device states that a job begins with, as a worker reads it."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems
from numpy.typing import NDArray

from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.shard import shard_of
from eddyline.transforms.fleet.device_states import begin_with
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_codec import take_apart
from eddyline.transforms.fleet.fleet_parts import FleetRefused

NEEDED = ("device_id", "began", "stream", "state")


class Span(NamedTuple):
    """What a file says of the stream: its earliest and latest event time, and its devices."""

    began: int
    stream: int
    devices: int


class StatesByShard:
    """The device states of a Parquet file, by shard: whatever number there was and is now.

    Guarantee: a device's state goes to the shard that its readings go to. A shard's states are read
    when it begins, a row group at a time: a worker holds those of its own shards only.

    Args:
        path: The file, local, s3:// or gs://.
        shards: Number of shards.
    """

    def __init__(self, path: str, shards: int) -> None:
        self.path, self.shards = path, shards
        self._shard: list[NDArray[np.int32]] | None = None
        self._span = Span(NEVER, NEVER, 0)

    def begin(self, shard: int, fleet: Fleet) -> tuple[int, int]:
        """Let a shard's new fleet go on from the states of its devices.

        Returns:
            How many devices it has now, and how many of their models were refused.

        Raises:
            BeamIOError: The file is not there.
            FleetRefused: A state in it is none, or of a version from the future.
        """
        with opened(self.path) as file:
            if self._shard is None:
                self._shard = [self._shards_of(group) for group in _groups(file, "device_id")]
                self._span = span_of(file)
            states: list[bytes] = []
            for group, shards in enumerate(self._shard):
                rows = np.flatnonzero(shards == shard)
                if len(rows):
                    column = file.read_row_group(group, columns=["state"]).column("state")
                    states += column.take(pa.array(rows)).to_pylist()
        began, stream, _ = self._span
        try:
            refused = begin_with(fleet, states, began, stream)
        except FleetRefused as error:
            raise FleetRefused(f"{self.path}: {error}") from error
        return len(states), refused

    def _shards_of(self, group: pa.Table) -> NDArray[np.int32]:
        ids = group.column("device_id").to_pylist()
        return np.array([shard_of(device, self.shards) for device in ids], np.int32)


def check_states(path: str) -> Span:
    """Say what is in a file of device states before a job begins with it.

    Raises:
        ValueError: It is no such file, or of a version from the future.
        BeamIOError: It is not there.
    """
    with opened(path) as file:
        if file.metadata.num_row_groups:
            first = file.read_row_group(0, columns=["state"]).column("state")
            try:
                take_apart(first[0].as_py())
            except FleetRefused as error:
                raise ValueError(f"{path}: {error}") from error
        return span_of(file)


def span_of(file: pq.ParquetFile) -> Span:
    """What an open file says of the stream."""
    began, stream = NEVER, NEVER
    for group in _groups(file, "began", "stream"):
        times = group.cast(_TIMES)
        firsts = times.column("began").drop_null().to_numpy()
        lasts = times.column("stream").drop_null().to_numpy()
        if len(firsts):
            began = int(firsts.min()) if began == NEVER else min(began, int(firsts.min()))
        if len(lasts):
            stream = max(stream, int(lasts.max()))
    return Span(began, stream, file.metadata.num_rows)


@contextmanager
def opened(path: str) -> Generator[pq.ParquetFile]:
    """A file of device states, open.

    Raises:
        ValueError: It is no such file.
        BeamIOError: It is not there.
    """
    with FileSystems.open(path, compression_type="uncompressed") as source:
        try:
            file: Any = pq.ParquetFile(source)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: no Parquet file of device states: {error}") from error
        if lacks := [name for name in NEEDED if name not in file.schema_arrow.names]:
            raise ValueError(f"{path}: no file of device states, it lacks {', '.join(lacks)}")
        yield file


_TIMES = pa.schema([pa.field(name, pa.int64()) for name in ("began", "stream")])


def _groups(file: Any, *columns: str) -> Iterator[pa.Table]:
    for group in range(file.metadata.num_row_groups):
        yield file.read_row_group(group, columns=list(columns))
