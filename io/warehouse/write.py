"""WriteWarehouse: batches of several tables into BigQuery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import IOTypeHints

from eddyline.io.rows.apart import SetApart
from eddyline.io.rows.send import RowWriter, SendRows
from eddyline.io.rows.table import RowTable
from eddyline.io.warehouse.dataset import Dataset, parse_dataset

Method = Literal["streaming_inserts", "storage_write"]
STAGE = "warehouse"


@dataclass
class WriteWarehouse(beam.PTransform):
    """Write record batches into BigQuery tables that are there already.

    Guarantee: each row is in its table, or a row of the dead letters that this gives. By streaming
    inserts each row has an insert id of its key and content, so that rows of a repeated bundle are
    dropped by BigQuery while it remembers them; by the Storage Write API they are there at least
    once. No table is ever created. While BigQuery is busy or away the job waits; after `patience`
    seconds the bundle fails, and the engine repeats it. Windows, lateness and order of the input do
    not matter.

    Counters (namespace `warehouse`): `rows_written`, `rows_refused`, `requests`,
    `requests_repeated`.

    Attributes:
        dataset: PROJECT.DATASET.
        tables: The tables that batches may be for.
        method: streaming_inserts or storage_write.
        patience: Seconds without an answer until a bundle fails.
        shards: Of a stream, writers a table, in a stage of their own: a BigQuery that is away then
            holds up neither the lake nor incidents. 0 to write in the stage that makes the rows.

    Raises:
        ValueError: A setting is wrong, or there are batches for an unknown table.
    """

    dataset: str
    tables: Sequence[RowTable]
    method: Method = "streaming_inserts"
    patience: float = 600.0
    shards: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        parse_dataset(self.dataset)
        if self.patience < 0:
            raise ValueError(f"patience: {self.patience} is less than 0")
        if self.method not in get_args(Method):
            raise ValueError(f"method: {self.method!r} is not one of {', '.join(get_args(Method))}")

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for a dict of collections and would warn of ours."""
        return IOTypeHints.empty()

    def expand(
        self, batches: Mapping[str, beam.PCollection[pa.RecordBatch]]
    ) -> beam.PCollection[pa.RecordBatch]:
        """Write each table; the output is batches of dead letters."""
        tables = {table.name: table for table in self.tables}
        if unknown := sorted(set(batches) - set(tables)):
            raise ValueError(f"batches for {unknown}, and tables only for {sorted(tables)}")
        dataset = parse_dataset(self.dataset)
        connect = partial(writer, dataset, self.method, self.patience)
        refused = [
            self._apart(name, collection | f"Global {name}" >> beam.WindowInto(GlobalWindows()))
            | f"Insert {name}"
            >> beam.ParDo(
                SendRows(STAGE, f"bigquery:{dataset}", tables[name], connect)
            ).with_output_types(pa.RecordBatch)
            for name, collection in batches.items()
        ]
        return refused | "Flatten" >> beam.Flatten()

    def _apart(self, name: str, batches: Any) -> Any:
        return batches | f"Apart {name}" >> SetApart(self.shards) if self.shards else batches


def writer(dataset: Dataset, method: Method, patience: float) -> RowWriter:
    """The writer of a method; its client library is imported here and not before."""
    if method == "storage_write":
        from eddyline.io.warehouse.storage_write import StorageWrite

        return StorageWrite(dataset, patience)
    from eddyline.io.warehouse.insert_all import InsertAll

    return InsertAll(dataset, patience)
