"""Rows as messages: a body, an id that is the same on every run, and what it is of."""

import io
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import fastavro
import msgspec
import pyarrow as pa
from fastavro.schema import fingerprint, to_parsing_canonical_form

from eddyline.io.rows.json_rows import plain_rows
from eddyline.io.rows.row_id import row_ids
from eddyline.io.rows.table import RowTable
from eddyline.schemas.avro import avro_schema

Encoding = Literal["json", "avro"]

CONTENT_TYPES: dict[Encoding, str] = {"json": "application/json", "avro": "avro/binary"}
_SINGLE_OBJECT = b"\xc3\x01"


class Result(NamedTuple):
    """One row as a message, and where it came from.

    Args:
        result_id: The same for the same row on every run, at most 128 characters.
        device_id: What its order is kept by; of a storm, which has no device, its incident's id.
        body: The row.
        attributes: `id`, `table`, `content-type`, and of Avro the schema's `fingerprint`.
        batch: The batch it is of.
        at: Its place there.
    """

    result_id: str
    device_id: str
    body: bytes
    attributes: dict[str, str]
    batch: pa.RecordBatch
    at: int


@dataclass(frozen=True)
class Encoder:
    """Encodes the rows of one table.

    JSON is one object a row, as `eddyline schema RECORD --dialect json` describes it. Avro
    is the specification's single-object encoding: two bytes C3 01, the CRC-64-AVRO fingerprint of
    the schema, little endian, and the row; so a body says which schema it is of even where the
    transport has no attributes.
    """

    table: RowTable
    encoding: Encoding

    def results(self, batch: pa.RecordBatch) -> list[Result]:
        """The rows of a batch that fits its table, in their order."""
        rows = plain_rows(batch)
        encoded = [msgspec.json.encode(row) for row in rows]
        ids = row_ids(self.table, rows, encoded)
        attributes = {"table": self.table.name, "content-type": CONTENT_TYPES[self.encoding]}
        if self.encoding == "avro":
            schema = avro_schema(self.table.record)
            attributes["fingerprint"] = avro_fingerprint(schema).hex()
            encoded = _avro_bodies(schema, batch)
        return [
            Result(row_id, _device(row), body, {"id": row_id, **attributes}, batch, at)
            for at, (row_id, row, body) in enumerate(zip(ids, rows, encoded, strict=True))
        ]


def avro_fingerprint(schema: dict[str, Any]) -> bytes:
    """The schema's CRC-64-AVRO fingerprint, little endian, as single-object encoding has it.

    Example:
        >>> avro_fingerprint({"type": "int"}).hex()
        '8f5c393f1ad57572'
    """
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def _avro_bodies(schema: dict[str, Any], batch: pa.RecordBatch) -> list[bytes]:
    parsed: Any = fastavro.parse_schema(schema)
    head = _SINGLE_OBJECT + avro_fingerprint(schema)
    columns = [_avro_column(array) for array in batch.columns]
    bodies: list[bytes] = []
    for values in zip(*columns, strict=True):
        body = io.BytesIO()
        body.write(head)
        fastavro.schemaless_writer(body, parsed, dict(zip(batch.schema.names, values, strict=True)))
        bodies.append(body.getvalue())
    return bodies


def _avro_column(array: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.int64()).to_pylist()  # Avro stores any year; datetime has not all
    if pa.types.is_map(array.type):
        return [value if value is None else dict(value) for value in array.to_pylist()]
    return array.to_pylist()


def _device(row: dict[str, Any]) -> str:
    return str(row.get("device_id") or row.get("incident_id") or "")
