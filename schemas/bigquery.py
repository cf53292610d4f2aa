"""BigQuery: columns as `bq mk --schema` and Terraform's `google_bigquery_table` take them."""

from typing import Any

from eddyline.schemas.description import describe
from eddyline.schemas.record import Field, Record

MAX_DESCRIPTION = 1024

# The names that the BigQuery API answers with, so that Terraform sees no difference to its plan.
_TYPES: dict[str, str] = {
    "string": "STRING",
    "bytes": "BYTES",
    "long": "INTEGER",
    "double": "FLOAT",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "strings": "STRING",
    "map": "RECORD",
}


def bigquery_schema(record: Record) -> list[dict[str, Any]]:
    """The record as BigQuery columns: name, type, mode, description and, for a map, fields.

    Guarantee: REQUIRED exactly where the field may not be missing. Lists and maps are REPEATED,
    which in BigQuery can be empty but not null: a missing list is stored as an empty one. A column
    that a new channel adds is NULLABLE, the only mode that can be added to an existing table.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> columns = bigquery_schema(load_contract("room").record("reading"))
        >>> {c["name"]: (c["type"], c["mode"]) for c in columns}["beyond_limits"]
        ('STRING', 'REPEATED')
    """
    return [_column(field) for field in record.fields]


def _column(field: Field) -> dict[str, Any]:
    column: dict[str, Any] = {
        "name": field.name,
        "type": _TYPES[field.type],
        "mode": _mode(field),
        "description": describe(field)[:MAX_DESCRIPTION],
    }
    if field.type == "map":
        column["fields"] = [
            {"name": name, "type": "STRING", "mode": "REQUIRED", "description": ""}
            for name in ("key", "value")
        ]
    return column


def _mode(field: Field) -> str:
    if field.type in ("strings", "map"):
        return "REPEATED"
    return "NULLABLE" if field.nullable else "REQUIRED"
