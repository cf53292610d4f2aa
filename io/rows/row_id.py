"""Ids that a row has on every run: what lets a service know a row that it was sent before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xxhash import xxh3_64_hexdigest, xxh3_128_hexdigest

from eddyline.io.rows.table import RowTable

MAX_KEY = 96


def row_ids(
    table: RowTable, rows: Sequence[Mapping[str, Any]], encoded: Sequence[bytes]
) -> list[str]:
    """An id for each row of one batch: its key in clear, and a digest of its content.

    Guarantee: a row that is sent again (a retried bundle, a restored checkpoint, a replay) has the
    same id; at most 128 characters, as BigQuery and SNS want it. The content is part of it because
    a replay need not be exact: the minute that an abandoned attempt sent may come again with one
    late reading more, under the same revision, and must not be taken for the row that is there.
    Where a message gives equal rows (`unique` is false), those of one batch are numbered.

    Args:
        table: Whose rows.
        rows: With the columns of the key.
        encoded: Each row's bytes.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> from eddyline.io.rows.table import row_table
        >>> row = {"incident_id": "room-7/event/5", "revision": 2}
        >>> row_ids(row_table(load_contract("room"), "incidents"), [row], [b"{}"])
        ['room-7/event/5:2:1349cde127705c16']
    """
    ids = [
        f"{_key(table, row)}:{xxh3_64_hexdigest(content)}"
        for row, content in zip(rows, encoded, strict=True)
    ]
    return ids if table.unique else _numbered(ids)


def _key(table: RowTable, row: Mapping[str, Any]) -> str:
    key = ":".join(str(row.get(column)) for column in table.key)
    return key if len(key) <= MAX_KEY and key.isascii() else xxh3_128_hexdigest(key.encode())


def _numbered(ids: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    numbered: list[str] = []
    for row_id in ids:
        numbered.append(f"{row_id}:{seen[row_id]}" if seen[row_id] else row_id)
        seen[row_id] += 1
    return numbered
