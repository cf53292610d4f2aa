"""Files of JSON lines, local, on S3 or on Google Cloud Storage, read once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PBegin

from eddyline.io.lines import line_batches


def matching_files(pattern: str) -> list[FileMetadata]:
    """The files that match, by name.

    Raises:
        FileNotFoundError: None does; a run over nothing would look like a success.
    """
    found = [file for match in FileSystems.match([pattern]) for file in match.metadata_list]
    if not found:
        raise FileNotFoundError(f"no file matches {pattern!r}")
    return sorted(found, key=lambda file: file.path)


@dataclass
class ReadFiles(beam.PTransform):
    """Read the lines of every file that matches, as batches of messages.

    Guarantee: each line is one message, once; a file's order is kept. The message's source is the
    file's name, its position the line, its arrival time the file's last change: the same on every
    run. `.gz`, `.bz2` and `.zst` are unpacked. One worker reads a file; several files are read at
    the same time where the engine does that.

    Args:
        pattern: A path or glob.
        rows: Messages a batch.
    """

    pattern: str
    rows: int = 500

    def __post_init__(self) -> None:
        super().__init__()
        if self.rows < 1:
            raise ValueError(f"rows must be at least 1, not {self.rows}")

    def expand(self, root: PBegin) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        batches: Any = (
            root
            | "Pattern" >> beam.Create([self.pattern])
            | "Match" >> beam.FlatMap(_paths).with_output_types(tuple[str, int])
            | "Spread" >> beam.Reshuffle()
            | "Read lines" >> beam.ParDo(ReadLines(self.rows)).with_output_types(pa.RecordBatch)
        )
        return batches


def _paths(pattern: str) -> Iterator[tuple[str, int]]:
    for file in matching_files(pattern):
        yield file.path, int(file.last_updated_in_seconds * 1_000_000)


class ReadLines(beam.DoFn):
    """Read one file."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def process(self, element: tuple[str, int]) -> Iterator[pa.RecordBatch]:
        """Read it from its first line to its last."""
        path, arrival_time = element
        with FileSystems.open(path) as file:
            yield from line_batches(file, path, arrival_time, self.rows)
