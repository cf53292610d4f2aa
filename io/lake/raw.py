"""The raw zone: messages as they arrived, in Avro container files by arrival hour.

An Avro file is committed through a small Delta table, `raw_files`, one row a file: the same
numbers, transactions and retries as for every other table. A reader takes only files named there.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple, cast

import fastavro
import pyarrow as pa
from fastavro.write import Writer

from eddyline.io.lake.avro_rows import encode_rows
from eddyline.io.lake.data_file import DataFile
from eddyline.io.lake.kernels import kernels
from eddyline.io.lake.patience import Patience
from eddyline.io.lake.storage import Location, locate
from eddyline.io.lake.tables import Table
from eddyline.schemas.message import MESSAGE_SCHEMA

RAW = "raw"
# Every reader of Avro knows it; level 1 is a third of the time of the default.
CODEC, LEVEL = "deflate", 1
BLOCK = 2**18  # bytes of messages, about: a reader takes a block at a time, and may split there

RAW_FILES = Table(
    "raw_files",
    pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("rows", pa.int64(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("first_arrival", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("last_arrival", pa.timestamp("us", "UTC"), nullable=False),
        ]
    ),
    "first_arrival",
)


@dataclass(frozen=True)
class RawZone:
    """Avro files under `<lake>/raw/`, visible once `<lake>/raw_files/` names them.

    Attributes:
        record: The parsed Avro schema of a message (`schemas/message.avsc`), with the fields of
            `MESSAGE_SCHEMA`.
    """

    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The directory."""
        return RAW

    @property
    def schema(self) -> pa.Schema:
        """The columns of a message batch."""
        return MESSAGE_SCHEMA

    @property
    def log(self) -> Table:
        """The table that names the committed files."""
        return RAW_FILES

    def write(
        self, lake: str, rows: pa.Table, now: float, patience: Patience | None = None
    ) -> list[DataFile]:
        """Write one Avro file for each arrival hour, and the index file that will name them.

        The data files returned are those of the index; their `rows` count messages. The patience is
        as that of a table's write.
        """
        place = locate(lake)
        patience = patience or Patience(0)
        written = [
            patience.outlast(
                lake, f"write {self.name}", partial(self._write_one, place, hour, part)
            )
            for hour, part in by_hour(rows)
        ]
        index = pa.Table.from_pylist(written, schema=RAW_FILES.schema)
        messages: Counter[str] = Counter()
        for row in written:
            messages[row["first_arrival"].date().isoformat()] += row["rows"]
        return [
            file._replace(rows=messages[str(file.date)])
            for file in RAW_FILES.write(lake, index, now, patience)
        ]

    def _write_one(self, place: Location, hour: datetime, part: pa.Table) -> dict[str, Any]:
        path = hour_path(hour)
        arrival = kernels.min_max(part.column("arrival_time"))
        return {
            "path": path,
            "rows": part.num_rows,
            "bytes": write_avro(place, path, part, self.record),
            "first_arrival": arrival["min"].as_py(),
            "last_arrival": arrival["max"].as_py(),
        }


def hour_path(hour: datetime) -> str:
    """Give a new file's path in the lake; no two calls give the same.

    >>> hour_path(datetime(2026, 1, 2, 3, tzinfo=UTC)).rsplit("/", 1)[0]
    'raw/arrival_date=2026-01-02/arrival_hour=03'
    """
    return f"{RAW}/arrival_date={hour:%Y-%m-%d}/arrival_hour={hour:%H}/{uuid.uuid4().hex}.avro"


def by_hour(rows: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    """Split messages by the hour they arrived in."""
    hours = kernels.floor_temporal(rows.column("arrival_time"), unit="hour")
    distinct = kernels.unique(hours)
    for hour in distinct.sort():
        part = rows if len(distinct) == 1 else rows.filter(kernels.equal(hours, hour))
        yield hour.as_py().astimezone(UTC), part


class Block(NamedTuple):
    """What fastavro takes for a block of rows that are encoded."""

    num_records: int
    bytes_: BytesIO


def write_avro(place: Location, path: str, rows: pa.Table, record: Mapping[str, Any]) -> int:
    """Write messages as an Avro container file and give its size in bytes."""
    ordered = rows.select([field["name"] for field in record["fields"]]).combine_chunks()
    most = max(1, rows.num_rows * BLOCK // max(1, rows.nbytes))
    with place.open_new(place.join(path)) as sink:
        writer = Writer(sink, dict(record), CODEC, compression_level=LEVEL)
        for part in ordered.to_batches(max_chunksize=most):
            writer.write_block(Block(part.num_rows, BytesIO(encode_rows(part))))
        writer.flush()
        return sink.tell()


def read_avro(place: Location, path: str) -> pa.Table:
    """Read one Avro file back as messages, in the order written."""
    with place.filesystem.open_input_stream(place.join(path)) as source:
        messages = cast("list[dict[str, Any]]", list(fastavro.reader(source)))
    for message in messages:
        message["attributes"] = list(message["attributes"].items())
    return pa.Table.from_pylist(messages, schema=MESSAGE_SCHEMA)
