"""Gather in the bundle: a bounded run's batches into files, without a shuffle and without state."""

import time
from collections.abc import Callable, Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.patience import PATIENCE, Patience
from eddyline.io.lake.tables import Target, conform


class GatherBundle(beam.DoFn):
    """Writes one table's batches as files when there is enough, and the rest as the bundle ends.

    For bounded runs, whose bundles are large. Every row leaves in exactly one emitted file of a
    bundle that succeeded; a bundle that is repeated writes new files under new names, and those of
    the failed attempt are never emitted, so never committed.

    Args:
        lake: Where.
        target: The table or raw zone.
        flush_bytes: Bytes of Arrow data that are enough for a file.
        patience: Seconds for which a file outlasts a lake that refuses it.
        clock: Seconds since the epoch, for the files' modification time.
    """

    def __init__(
        self,
        lake: str,
        target: Target,
        flush_bytes: int,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lake = lake
        self._target = target
        self._flush_bytes = flush_bytes
        self._patience = patience
        self._clock = clock
        self._written = Metrics.counter("lake", "files_written")

    def start_bundle(self) -> None:
        """Begin with nothing gathered."""
        self._batches: list[pa.Table] = []
        self._bytes = 0

    def process(self, element: pa.RecordBatch) -> Iterator[tuple[str, bytes]]:
        """Keep a batch; write when there is enough. One that does not fit the table fails here."""
        if element.num_rows:
            rows = pa.Table.from_batches([element])
            self._batches.append(conform(rows, self._target.schema, self._target.name))
            self._bytes += element.nbytes
        if self._bytes >= self._flush_bytes:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Write what is left."""
        for record in self._flush():
            yield WindowedValue(record, GlobalWindow().max_timestamp(), (GlobalWindow(),))

    def _flush(self) -> Iterator[tuple[str, bytes]]:
        files: list[DataFile] = []
        if self._batches:
            rows = pa.concat_tables(self._batches)
            files = self._target.write(self._lake, rows, self._clock(), Patience(self._patience))
        self.start_bundle()
        for file in files:
            self._written.inc()
            yield self._target.name, file.encode()
