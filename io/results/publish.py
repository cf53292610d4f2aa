"""PublishResults: batches of several tables to streams and topics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import IOTypeHints

from eddyline.io.results.destination import Destination, parse_destination
from eddyline.io.results.encode import Encoding
from eddyline.io.results.writer import ResultWriter, publisher
from eddyline.io.rows.send import RowWriter, SendRows
from eddyline.io.rows.table import RowTable

STAGE = "results"


@dataclass
class PublishResults(beam.PTransform):
    """Publish record batches, one message a row, as they are made.

    Guarantee: each row is published at least once, or is a row of the dead letters that this gives.
    A message has an id of the row's key and content, the same on every run, by which a reader drops
    repeats. A destination that takes nothing for `patience` seconds costs dead letters and never
    the job: the lake has every row. Windows and lateness of the input do not matter.

    Counters (namespace `results`): `rows_written`, `rows_refused`.

    Attributes:
        destinations: Table name to pubsub:…, kinesis:… or sns:….
        tables: The tables that batches may be for.
        encoding: json or avro.
        ordered: Keep a device's order on Pub/Sub, by ordering keys. Kinesis and FIFO topics of SNS
            keep it always.
        patience: Seconds without a single row taken.

    Raises:
        ValueError: A setting is wrong, or a destination is for an unknown table.
    """

    destinations: Mapping[str, str]
    tables: Sequence[RowTable]
    encoding: Encoding = "json"
    ordered: bool = False
    patience: float = 120.0

    def __post_init__(self) -> None:
        super().__init__()
        if self.patience < 0:
            raise ValueError(f"patience: {self.patience} is less than 0")
        if self.encoding not in get_args(Encoding):
            raise ValueError(
                f"encoding: {self.encoding!r} is not one of {', '.join(get_args(Encoding))}"
            )
        if not self.destinations:
            raise ValueError("destinations: none is given")
        names = sorted(table.name for table in self.tables)
        if unknown := sorted(set(self.destinations) - set(names)):
            raise ValueError(f"destinations for {unknown}, and tables only for {names}")
        for destination in self.destinations.values():
            parse_destination(destination)

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for a dict of collections and would warn of ours."""
        return IOTypeHints.empty()

    def expand(
        self, batches: Mapping[str, beam.PCollection[pa.RecordBatch]]
    ) -> beam.PCollection[pa.RecordBatch]:
        """Publish each table that has a destination; the output is batches of dead letters."""
        refused = [
            batches[table.name]
            | f"Global {table.name}" >> beam.WindowInto(GlobalWindows())
            | f"Publish {table.name}"
            >> beam.ParDo(self._send(table)).with_output_types(pa.RecordBatch)
            for table in self.tables
            if table.name in self.destinations
        ]
        return refused | "Flatten" >> beam.Flatten()

    def _send(self, table: RowTable) -> SendRows:
        destination = parse_destination(self.destinations[table.name])
        make = partial(connect, destination, self.encoding, self.ordered, self.patience)
        return SendRows(STAGE, str(destination), table, make)


def connect(
    destination: Destination,
    encoding: Encoding,
    ordered: bool,
    patience: float,
) -> RowWriter:
    """A writer to the destination."""
    return ResultWriter(publisher(destination, ordered=ordered), encoding, patience)
