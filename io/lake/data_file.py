"""The record of one written file, as it travels from the writer to the commit."""

import json
from typing import NamedTuple

_VERSION = 1


class DataFile(NamedTuple):
    """A file that is complete on storage and not yet part of its table.

    Attributes:
        path: Relative to the table's directory; never used twice.
        size: In bytes.
        rows: What the file stands for: its rows, or for a raw index file the messages.
        date: The partition, `YYYY-MM-DD`, or None for rows without a time.
        statistics: Delta's per-file statistics as JSON text.
        modified: When it was written, in ms since the epoch.

    >>> file = DataFile("event_date=2026-01-02/a.parquet", 10, 1, "2026-01-02", "{}", 0)
    >>> DataFile.decode(file.encode()) == file
    True
    """

    path: str
    size: int
    rows: int
    date: str | None
    statistics: str
    modified: int

    def encode(self) -> bytes:
        """Give the record as versioned bytes."""
        return json.dumps([_VERSION, *self]).encode()

    @classmethod
    def decode(cls, record: bytes) -> "DataFile":
        """Read a record that this or an earlier version encoded.

        Raises:
            ValueError: The bytes are no such record.
        """
        version, *fields = json.loads(record)
        if version != _VERSION:
            raise ValueError(f"data file record of version {version}, this code knows {_VERSION}")
        return cls(*fields)
