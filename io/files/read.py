"""Files, local, on S3 or on Google Cloud Storage, read once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PBegin

from eddyline.io.files.contents import contents
from eddyline.io.files.kinds import Kinds, kinds_of
from eddyline.io.files.matching import matching_files
from eddyline.schemas.record import Contract, load_contract


@dataclass
class ReadFiles(beam.PTransform):
    """Read every file that matches, as batches of messages.

    Guarantee: each line or row is one message, once; of Avro each block. A file's order is kept.
    The message's source is the file's name, its position the row, its arrival time the file's last
    change: the same on every run. A truncated or damaged file gives what comes before the damage
    and one message that is marked as unreadable (`schemas/unreadable.py`); the others go on. One
    worker reads a file; several files are read at the same time where the engine does that. See
    `contents` for the formats.

    Args:
        pattern: A path or glob.
        rows: Messages a batch.
        contract: Says what the columns of CSV and Parquet hold.
    """

    pattern: str
    rows: int = 500
    contract: Contract = field(default_factory=load_contract)

    def __post_init__(self) -> None:
        super().__init__()
        if self.rows < 1:
            raise ValueError(f"rows must be at least 1, not {self.rows}")

    def expand(self, root: PBegin) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        read = ReadFile(self.rows, kinds_of(self.contract))
        batches: Any = (
            root
            | "Pattern" >> beam.Create([self.pattern])
            | "Match" >> beam.FlatMap(_paths).with_output_types(tuple[str, int])
            | "Spread" >> beam.Reshuffle()
            | "Read lines" >> beam.ParDo(read).with_output_types(pa.RecordBatch)
        )
        return batches


def _paths(pattern: str) -> Iterator[tuple[str, int]]:
    for file in matching_files(pattern):
        yield file.path, int(file.last_updated_in_seconds * 1_000_000)


class ReadFile(beam.DoFn):
    """Read one file."""

    def __init__(self, rows: int, kinds: Kinds) -> None:
        self.rows = rows
        self.kinds = kinds

    def process(self, element: tuple[str, int]) -> Iterator[pa.RecordBatch]:
        """Read it from its first row to its last."""
        path, arrival_time = element
        yield from contents(path, arrival_time, self.rows, self.kinds)
