"""The tables whose rows go to services, and what tells one row of each from another."""

from dataclasses import dataclass

import pyarrow as pa

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract, Record, RecordName


@dataclass(frozen=True)
class RowTable:
    """A table of the job's results.

    Attributes:
        name: As the lake and the warehouse name it.
        record: Its columns.
        time_column: The column of a row's own time.
        key: Columns that tell rows apart; not unique where one message gives several rows.
        unique: Whether two rows of one key and content are one row told twice.
    """

    name: str
    record: Record
    time_column: str
    key: tuple[str, ...]
    unique: bool = True

    @property
    def schema(self) -> pa.Schema:
        """The columns of its batches."""
        return arrow_schema(self.record)


_TABLES: dict[str, tuple[RecordName, str, tuple[str, ...], bool]] = {
    "readings": ("reading", "event_time", ("reading_id",), True),
    "minutes": ("minute", "minute_start", ("device_id", "minute_start", "revision"), True),
    "anomalies": ("anomaly", "event_time", ("reading_id",), True),
    "incidents": ("incident", "event_time", ("incident_id", "revision"), True),
    "deliveries": ("delivery", "attempted_at", ("key", "channel", "attempt"), True),
    "dead_letters": ("dead_letter", "arrival_time", ("source", "position", "reason"), False),
}

TABLE_NAMES: tuple[str, ...] = tuple(_TABLES)


def row_table(contract: Contract, name: str) -> RowTable:
    """The table of that name, with the contract's channels.

    Raises:
        ValueError: There is no such table.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> row_table(load_contract("room"), "minutes").key
        ('device_id', 'minute_start', 'revision')
        >>> row_table(load_contract("room"), "hours")
        Traceback (most recent call last):
        ValueError: no table 'hours'; there are: readings, minutes, anomalies, ...
    """
    if name not in _TABLES:
        raise ValueError(f"no table {name!r}; there are: {', '.join(_TABLES)}")
    record, time_column, key, unique = _TABLES[name]
    return RowTable(name, contract.record(record), time_column, key, unique)
