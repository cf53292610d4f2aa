"""JSON Schema (draft 2020-12): the dialect of the REST API and of `--json`."""

import math
from typing import Any

from eddyline.schemas.description import describe
from eddyline.schemas.record import Field, Record

_INT64 = (-(2**63), 2**63 - 1)
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64", "pattern": _BASE64},
    "long": {"type": "integer", "minimum": _INT64[0], "maximum": _INT64[1]},
    "double": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
}


def json_schema(record: Record) -> dict[str, Any]:
    """The record as a JSON Schema of one row.

    Guarantee: timestamps are RFC 3339 text (a validator must be asked to check formats), bytes are
    base64 text, a long lies within 64 bits and a channel within its physical limits, unless its
    schema file keeps what is beyond them. A field is required where it may be neither null nor left
    out for its default; a field that is not in the record is refused.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> schema = json_schema(load_contract("room").record("reading"))
        >>> schema["properties"]["humidity"]["maximum"], schema["required"][:2]
        (100.0, ['device_id', 'event_time'])
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": record.name,
        "description": record.doc,
        "type": "object",
        "properties": {field.name: _property(field) for field in record.fields},
        "required": [f.name for f in record.fields if not f.nullable and f.default is None],
        "additionalProperties": False,
    }


def _property(field: Field) -> dict[str, Any]:
    schema = dict(_TYPES[field.type])
    if field.minimum is not None and field.maximum is not None:
        schema |= _limits(field.type, field.minimum, field.maximum)
    if field.nullable:
        schema["type"] = [schema["type"], "null"]
    if field.nullable or field.default is not None:
        schema["default"] = field.default
    if words := describe(field):
        schema["description"] = words
    return schema


def _limits(kind: str, minimum: float, maximum: float) -> dict[str, float]:
    if kind != "long":
        return {"minimum": minimum, "maximum": maximum}
    return {"minimum": math.ceil(minimum), "maximum": math.floor(maximum)}
