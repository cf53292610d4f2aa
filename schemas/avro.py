"""Avro: the dialect of the contract itself, its per-channel fields written out."""

from typing import Any

from eddyline.schemas.record import Field, Record

_TYPES: dict[str, Any] = {
    "string": "string",
    "bytes": "bytes",
    "long": "long",
    "double": "double",
    "boolean": "boolean",
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
    "strings": {"type": "array", "items": "string"},
    "map": {"type": "map", "values": "string"},
}


def avro_schema(record: Record) -> dict[str, Any]:
    """The record as an Avro schema that `fastavro` and every other Avro library takes.

    Guarantee: a field that may be missing is a union with null, null first, and null is its
    default; so a file written before a channel was declared can be read with the channel. Unit and
    limits are kept as attributes, which Avro libraries pass over.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> schema = avro_schema(load_contract("room").record("reading"))
        >>> next(field for field in schema["fields"] if field["name"] == "humidity")["type"]
        ['null', 'double']
    """
    return {
        "type": "record",
        "name": record.name,
        "namespace": "eddyline",
        "doc": record.doc,
        "fields": [_avro_field(field) for field in record.fields],
    }


def _avro_field(field: Field) -> dict[str, Any]:
    avro = _TYPES[field.type]
    column: dict[str, Any] = {
        "name": field.name,
        "type": ["null", avro] if field.nullable else avro,
    }
    if field.nullable or field.default is not None:
        column["default"] = field.default
    words = {
        "doc": field.doc or None,
        "unit": field.unit or None,
        "minimum": field.minimum,
        "maximum": field.maximum,
    }
    return column | {name: value for name, value in words.items() if value is not None}
