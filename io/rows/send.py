"""SendRows: a bundle's batches of one table, sent together to a service."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.windowed_value import WindowedValue

from eddyline.io.rows.refused import RefusedRow, dead_letters
from eddyline.io.rows.table import RowTable

FLUSH_ROWS, FLUSH_BYTES = 500, 4 * 2**20


class RowWriter(Protocol):
    """Writes the rows of a table to a service."""

    def write(self, table: RowTable, batches: Sequence[pa.RecordBatch]) -> list[RefusedRow]:
        """Write all rows; gives back those that were not taken."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class SendRows(beam.DoFn):
    """Gathers a bundle's batches of one table into requests worth sending.

    Guarantee: when the bundle has succeeded, each of its rows was taken by the service or is in a
    dead letter that this gives. A row of `dead_letters` that is refused gives no further one, as
    the lake has it already; it is counted. In the global window; dead letters are stamped with the
    earliest time of what was sent with them.

    Counters, in the namespace of the stage: `rows_written`, `rows_refused`.

    Args:
        stage: The step's name in dead letters.
        service: Where the rows go, for dead letters.
        table: Whose rows.
        connect: Makes the writer, once a worker.
    """

    def __init__(
        self, stage: str, service: str, table: RowTable, connect: Callable[[], RowWriter]
    ) -> None:
        self._stage, self._service, self._table = stage, service, table
        self._connect = connect
        self._written = Metrics.counter(stage, "rows_written")
        self._refused = Metrics.counter(stage, "rows_refused")

    def setup(self) -> None:
        """Connect."""
        self._writer = self._connect()

    def teardown(self) -> None:
        """Disconnect."""
        self._writer.close()

    def start_bundle(self) -> None:
        """Begin with nothing gathered."""
        self._clear()

    def process(
        self, batch: pa.RecordBatch, timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[Any]:
        """Keep the batch; enough of them leave."""
        if not batch.num_rows:
            return
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        self._earliest = min(self._earliest, timestamp)
        if self._rows >= FLUSH_ROWS or self._bytes >= FLUSH_BYTES:
            for letters, time in self._flush():
                yield TimestampedValue(letters, time)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """What is left leaves with the bundle."""
        for letters, time in self._flush():
            yield WindowedValue(letters, time, (GlobalWindow(),))

    def _flush(self) -> Iterator[tuple[pa.RecordBatch, Any]]:
        batches, rows, time = self._batches, self._rows, self._earliest
        self._clear()
        if not batches:
            return
        refused = self._writer.write(self._table, batches)
        self._written.inc(rows - len(refused))
        self._refused.inc(len(refused))
        if refused and self._table.name != "dead_letters":
            yield dead_letters(self._stage, self._service, refused), time

    def _clear(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._earliest: Any = GlobalWindow().max_timestamp()
