"""Files of JSON lines, local, on S3 or on Google Cloud Storage, read once."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PBegin

from eddyline.io.lines import line_batches

_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


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
    run. `.gz`, `.bz2` and `.zst` are unpacked; a truncated or damaged one fails the run, since
    nobody knows what was in it. One worker reads a file; several files are read at the same time
    where the engine does that.

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
        with opened(path) as file:
            yield from line_batches(file, path, arrival_time, self.rows)


@contextmanager
def opened(path: str) -> Generator[BinaryIO]:
    """The file's bytes, unpacked by the ending of its name.

    Beam would unpack it too, but takes a truncated file for a whole one.

    Raises:
        OSError: It is truncated or damaged; the message begins with its name.
    """
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        codec = _CODECS.get(PurePosixPath(path).suffix)
        try:
            if codec:
                with pa.CompressedInputStream(file, codec) as unpacked:
                    yield unpacked
            else:
                yield file
        except OSError as error:
            raise OSError(f"{path}: {error}") from error
