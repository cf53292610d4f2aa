"""Arrow: the dialect in which everything flows and is stored."""

import pyarrow as pa

from eddyline.schemas.record import Field, Record

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "strings": pa.list_(pa.field("element", pa.string(), nullable=False)),
    "map": pa.map_(pa.string(), pa.field("value", pa.string(), nullable=False)),
}


def arrow_schema(record: Record) -> pa.Schema:
    """The record as an Arrow schema; a field that may be missing is nullable.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> arrow_schema(load_contract("room").record("reading")).field("event_time").type
        TimestampType(timestamp[us, tz=UTC])
    """
    return pa.schema([_arrow_field(field) for field in record.fields])


def _arrow_field(field: Field) -> pa.Field:
    return pa.field(field.name, _TYPES[field.type], nullable=field.nullable)
