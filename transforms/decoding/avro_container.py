"""Avro container files that nobody vouches for: their records, in bounded memory and depth."""

import io
import json
import struct
from collections.abc import Iterator
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

MAGIC = b"Obj\x01"
MAX_HEADER = 2**16
# What reading bytes that are not what they say raises, found by fuzzing.
AVRO_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    SchemaParseException,
    struct.error,
)
_PRIMITIVE = frozenset({"boolean", "int", "long", "float", "double", "string", "bytes"})
_HEADER = fastavro.parse_schema(
    {
        "type": "record",
        "name": "header",
        "fields": [
            {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": len(MAGIC)}},
            {"name": "meta", "type": {"type": "map", "values": "bytes"}},
            {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": 16}},
        ],
    }
)


class AvroContainer:
    """A container file with its schema inside, codec `null`.

    Guarantee: reading it takes memory in proportion to its bytes. fastavro alone overflows the C
    stack on a schema that holds itself, and fills the memory from a count that is only claimed;
    so a schema is read only if each value of it takes at least a byte (see `_plain`).

    Args:
        body: The file's bytes.

    Raises:
        AVRO_ERRORS: It is not such a container.

    Example:
        >>> sink = io.BytesIO()
        >>> schema = {"type": "record", "name": "r", "fields": [{"name": "t", "type": "int"}]}
        >>> fastavro.writer(sink, schema, [{"t": 20}, {"t": 21}])
        >>> container = AvroContainer(sink.getvalue())
        >>> [container.read(record) for record in container.records()]
        [{'t': 20}, {'t': 21}]
    """

    def __init__(self, body: bytes) -> None:
        self._file = io.BytesIO(body)
        self._size = len(body)
        header: Any = fastavro.schemaless_reader(self._file, _HEADER, None)
        self._head = body[: self._file.tell()]
        if len(self._head) > MAX_HEADER:
            raise ValueError(f"a header of {len(self._head)} bytes: at most {MAX_HEADER} are read")
        codec = header["meta"].get("avro.codec", b"null")
        if codec != b"null":
            raise ValueError(f"codec {codec!r}: only null is read, to bound memory")
        schema = json.loads(header["meta"]["avro.schema"])
        if not isinstance(schema, dict) or schema.get("type") != "record":
            raise ValueError("the schema is not a record")
        self._sync = header["sync"]
        self._plain = fastavro.parse_schema(_plain(schema))
        self._schema = fastavro.parse_schema(schema)

    def records(self) -> Iterator[bytes]:
        """The bytes of each record, in order.

        Raises:
            AVRO_ERRORS: A block is not what it says.
        """
        while self._file.tell() < self._size:
            count = self._read(self._file, "long")
            block = self._read(self._file, "bytes")
            if self._file.read(len(self._sync)) != self._sync:
                raise ValueError("a block does not end with the sync marker")
            yield from self._records(block, count)

    def read(self, record: bytes) -> dict[str, Any]:
        """The values of a record that `records` gave.

        Raises:
            AVRO_ERRORS: A value is not what its logical type says, or no UTF-8.
        """
        value: Any = fastavro.schemaless_reader(io.BytesIO(record), self._schema, None)
        return value

    def only(self, record: bytes) -> bytes:
        """A container that holds one record: what a dead letter keeps and a replay reads."""
        sink = io.BytesIO(self._head)
        sink.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(sink, "long", 1)
        fastavro.schemaless_writer(sink, "bytes", record)
        sink.write(self._sync)
        return sink.getvalue()

    def _records(self, block: bytes, count: int) -> Iterator[bytes]:
        file = io.BytesIO(block)
        for _ in range(count):
            start = file.tell()
            self._read(file, self._plain)
            yield block[start : file.tell()]
        if file.tell() < len(block):
            raise ValueError(f"{len(block) - file.tell()} bytes behind the last record of a block")

    @staticmethod
    def _read(file: io.BytesIO, schema: Any) -> Any:
        return fastavro.schemaless_reader(file, schema, None, handle_unicode_errors="replace")


def _plain(schema: Any) -> Any:
    """The schema without logical types.

    Each value of it takes at least a byte, and what lists and maps hold no name or symbol that is
    written out for each: so values and their JSON stay in proportion to the bytes.

    Raises:
        ValueError: It holds a bare null, an empty record, a type by its name (which could be
            itself), or a list or map of anything but plain values.
    """
    match schema:
        case str() if schema in _PRIMITIVE:
            return schema
        case [_, *_]:
            return [branch if branch == "null" else _plain(branch) for branch in schema]
        case {"type": "record", "name": str(name), "fields": [_, *_] as fields}:
            named = [{"name": field["name"], "type": _plain(field["type"])} for field in fields]
            return {"type": "record", "name": name, "fields": named}
        case {"type": "array", "items": items}:
            return {"type": "array", "items": _scalar(items)}
        case {"type": "map", "values": values}:
            return {"type": "map", "values": _scalar(values)}
        case {"type": "enum", "name": str(name), "symbols": [_, *_] as symbols}:
            return {"type": "enum", "name": name, "symbols": symbols}
        case {"type": "fixed", "name": str(name), "size": int(size)} if size > 0:
            return {"type": "fixed", "name": name, "size": size}
        case {"type": str() as inner} if inner in _PRIMITIVE:
            return inner
        case {"type": dict() | list() as inner}:
            return _plain(inner)
        case _:
            raise ValueError(f"a schema with {json.dumps(schema)[:80]} is not read")


def _scalar(schema: Any) -> Any:
    plain = _plain(schema)
    branches: list[Any] = plain if isinstance(plain, list) else [plain]
    if not all(branch == "null" or branch in _PRIMITIVE for branch in branches):
        raise ValueError("a list or map of anything but plain values is not read")
    return plain
