"""Gather: collects batches in state and writes them as files of a useful size."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder, VarIntCoder
from apache_beam.metrics import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow

from eddyline.io.lake.patience import PATIENCE, Patience
from eddyline.io.lake.tables import Target, conform
from eddyline.schemas.ipc import decode_batch


class Gather(beam.DoFn):
    """Writes what gathered for a (table, shard) when it is large or old enough, or all there is.

    Keyed by `table/shard`, in the global window, elements `(key, Arrow IPC stream)`; emits
    `(table, encoded DataFile)`. Every row leaves in exactly one emitted file of a bundle that
    succeeded: the bag is cleared in the bundle that emits. A bundle that is repeated writes new
    files under new names; those of the failed attempt stay behind, never emitted, never committed.

    Args:
        lake: Where.
        targets: By name.
        flush_seconds: The longest a row waits.
        flush_bytes: Bytes of Arrow data that are enough for a file.
        patience: Seconds for which a file outlasts a lake that refuses it.
        clock: Seconds since the epoch, for the timer and the files' modification time.
    """

    # No other stateful step of a job may use these names: FnApiRunner fuses steps and hands one
    # step's timers to the other's callback of the same name (seen with Beam 2.77: rows were lost).
    BATCHES = BagStateSpec("gather_batches", BytesCoder())
    SIZE = ReadModifyWriteStateSpec("gather_bytes", VarIntCoder())
    SOON = TimerSpec("gather_soon", TimeDomain.REAL_TIME)
    END = TimerSpec("gather_end", TimeDomain.WATERMARK)

    def __init__(
        self,
        lake: str,
        targets: Mapping[str, Target],
        flush_seconds: float,
        flush_bytes: int,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lake = lake
        self._targets = dict(targets)
        self._flush_seconds = flush_seconds
        self._flush_bytes = flush_bytes
        self._patience = patience
        self._clock = clock
        self._files = Metrics.counter("lake", "files_written")

    def process(
        self,
        element: tuple[str, bytes],
        batches: Any = beam.DoFn.StateParam(BATCHES),
        size: Any = beam.DoFn.StateParam(SIZE),
        soon: Any = beam.DoFn.TimerParam(SOON),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[tuple[str, bytes]]:
        """Keep a batch; write when there is enough."""
        key, batch = element
        before = size.read() or 0
        if not before:
            end.set(GlobalWindow().max_timestamp())
            soon.set(self._clock() + self._flush_seconds)
        batches.add(batch)
        size.write(before + len(batch))
        if before + len(batch) >= self._flush_bytes:
            yield from self._flush(key, batches, size)

    @on_timer(SOON)
    def on_soon(
        self,
        key: Any = beam.DoFn.KeyParam,
        batches: Any = beam.DoFn.StateParam(BATCHES),
        size: Any = beam.DoFn.StateParam(SIZE),
    ) -> Iterator[tuple[str, bytes]]:
        """Write what is old enough."""
        yield from self._flush(key, batches, size)

    @on_timer(END)
    def on_end(
        self,
        key: Any = beam.DoFn.KeyParam,
        batches: Any = beam.DoFn.StateParam(BATCHES),
        size: Any = beam.DoFn.StateParam(SIZE),
    ) -> Iterator[tuple[str, bytes]]:
        """Write the last rows."""
        yield from self._flush(key, batches, size)

    def _flush(self, key: str, batches: Any, size: Any) -> Iterator[tuple[str, bytes]]:
        gathered = list(batches.read())
        # A timer may find nothing: the size was enough before it.
        if not gathered:
            return
        name = key.rpartition("/")[0]
        target = self._targets[name]
        rows = conform(_together(gathered), target.schema, name)
        for file in target.write(self._lake, rows, self._clock(), Patience(self._patience)):
            self._files.inc()
            yield name, file.encode()
        batches.clear()
        size.write(0)


def _together(batches: Iterable[bytes]) -> pa.Table:
    """One table; a column that only some batches have is null in the others."""
    tables = [pa.Table.from_batches([decode_batch(batch)]) for batch in batches]
    return pa.concat_tables(tables, promote_options="default")
