"""Per-file statistics in Delta's JSON form, by which readers skip files.

A bound may be too wide and never too narrow: a reader drops a file on the word of its bounds. Where
an exact or safe bound cannot be told (NaN, infinity, nested, binary), it is left out.
Source: Delta protocol, "Per-file Statistics".
"""

import json
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from eddyline.io.lake.kernels import kernels

# Delta's own default (`delta.dataSkippingNumIndexedCols`): keeps the log small for wide tables.
INDEXED_COLUMNS = 32
PREFIX = 32
_GREATEST = "\U0010ffff"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is spelled by the caller


def statistics(rows: pa.Table) -> str:
    """Count rows and nulls and bound the first 32 columns.

    >>> statistics(pa.table({"a": [3, None, 1], "b": ["x", "y", "z"]}))
    '{"numRecords":3,"minValues":{"a":1,"b":"x"},"maxValues":{"a":3,"b":"z"},"nullCount":{"a":1,"b":0}}'
    """
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if len(nulls) == INDEXED_COLUMNS:
            break
        nulls[name] = column.null_count
        bounds = _bounds(column) if column.null_count < len(column) else (None, None)
        if bounds[0] is not None:
            low[name] = bounds[0]
        if bounds[1] is not None:
            high[name] = bounds[1]
    return json.dumps(
        {"numRecords": rows.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls},
        separators=(",", ":"),
        allow_nan=False,
    )


def _bounds(column: pa.ChunkedArray) -> tuple[Any, Any]:
    kind = column.type
    if pa.types.is_floating(kind):
        # Delta orders NaN above all numbers and JSON has neither NaN nor infinity.
        if not kernels.all(kernels.is_finite(column)).as_py():
            return None, None
    elif not (
        pa.types.is_integer(kind)
        or pa.types.is_string(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
    ):
        return None, None
    found = kernels.min_max(column)
    if pa.types.is_timestamp(kind):
        return _instant(found["min"]), _instant(found["max"])
    low, high = found["min"].as_py(), found["max"].as_py()
    if pa.types.is_string(kind):
        return low[:PREFIX], _upper(high)
    if isinstance(low, date):
        return low.isoformat(), high.isoformat()
    return low, high


def _upper(text: str) -> str | None:
    """Cut a string to a bound that is not below it.

    >>> _upper("short"), _upper("a" * 40) >= "a" * 40
    ('short', True)
    """
    if len(text) <= PREFIX:
        return text
    # A prefix sorts below what it was cut from; one greatest character puts it above.
    return text[:PREFIX] + _GREATEST if text[PREFIX] != _GREATEST else None


def _instant(value: pa.Scalar) -> str | None:
    micros = value.cast(pa.timestamp("us", value.type.tz)).value
    try:
        instant = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None
    return instant.isoformat(timespec="microseconds") + ("Z" if value.type.tz else "")
