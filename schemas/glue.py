"""Glue: columns of an AWS Glue table, as Athena reads them."""

from eddyline.schemas.description import describe
from eddyline.schemas.record import Field, Record

MAX_COMMENT_BYTES = 255

_TYPES: dict[str, str] = {
    "string": "string",
    "bytes": "binary",
    "long": "bigint",
    "double": "double",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "strings": "array<string>",
    "map": "map<string,string>",
}


def glue_columns(record: Record) -> list[dict[str, str]]:
    """The record as Glue columns: name, type and comment, in Hive's type language.

    Guarantee: a comment is one line of at most 255 bytes, which is what Glue takes; a longer one is
    cut between two characters. Glue cannot say that a column may not be null.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> glue_columns(load_contract("room").record("message"))[1]["type"]
        'map<string,string>'
    """
    return [_column(field) for field in record.fields]


def _column(field: Field) -> dict[str, str]:
    return {"name": field.name, "type": _TYPES[field.type], "comment": _cut(describe(field))}


def _cut(words: str) -> str:
    return words.encode()[:MAX_COMMENT_BYTES].decode(errors="ignore")
