"""A batch's rows as JSON objects."""

import base64
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute

_STRFTIME: Any = pyarrow.compute.strftime  # pyright: ignore[reportAttributeAccessIssue] registered at import
_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"


def plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as `schemas.json_schema` describes them.

    Guarantee: times are RFC 3339 text with microseconds, bytes base64 text, a map an object. A
    double that is no number is null: JSON has no word for it.

    Example:
        >>> plain_rows(pa.RecordBatch.from_pydict({"id": [2**63 - 1], "at": [None]}))
        [{'id': 9223372036854775807, 'at': None}]
    """
    return _rows(batch, _plain_column)


def bigquery_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as `tabledata.insertAll` takes them, for columns of `bigquery_schema`.

    Guarantee: no digit is lost (an INTEGER is text, as every JSON number may become a double on the
    way; FLOAT's NaN and infinities are text too), and a REPEATED column is never null.

    Example:
        >>> bigquery_rows(pa.RecordBatch.from_pydict({"id": [2**63 - 1], "low": [-math.inf]}))
        [{'id': '9223372036854775807', 'low': '-Infinity'}]
    """
    return _rows(batch, _bigquery_column)


def _rows(batch: pa.RecordBatch, column: Callable[[pa.Array], list[Any]]) -> list[dict[str, Any]]:
    names = batch.schema.names
    columns = [column(array) for array in batch.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain_column(array: pa.Array) -> list[Any]:
    if pa.types.is_map(array.type):
        return [None if value is None else dict(value) for value in array.to_pylist()]
    if pa.types.is_floating(array.type):
        return [value if value is None or math.isfinite(value) else None for value in _list(array)]
    return _list(array)


def _bigquery_column(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_map(kind):
        return [
            [{"key": key, "value": value} for key, value in entries or ()]
            for entries in array.to_pylist()
        ]
    if pa.types.is_list(kind):
        return [value or [] for value in array.to_pylist()]
    if pa.types.is_integer(kind):
        return array.cast(pa.string()).to_pylist()
    if pa.types.is_floating(kind):
        return [v if v is None or math.isfinite(v) else _no_number(v) for v in array.to_pylist()]
    return _list(array)


def _list(array: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(array.type):
        # Arrow writes any year it can store; Python's datetime ends with 9999.
        return _STRFTIME(array, format=_RFC3339).to_pylist()
    if pa.types.is_binary(array.type):
        return [
            None if value is None else base64.b64encode(value).decode()
            for value in array.to_pylist()
        ]
    return array.to_pylist()


def _no_number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
