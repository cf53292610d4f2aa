"""Show: tables of a lake, by DuckDB over what is committed."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa
from rich import box
from rich.markup import escape
from rich.table import Table

from eddyline.io.lake.read import open_table

View = Literal[
    "devices", "incidents", "deliveries", "anomalies", "readings", "minutes", "dead-letters"
]

# Each view: the tables it reads, and its query. `{where}` is the filter, newest rows come first.
_VIEWS: Mapping[View, tuple[tuple[str, ...], str]] = {
    "devices": (
        ("readings", "anomalies"),
        """
        select r.*, coalesce(a.anomalies, 0) as anomalies from (
            select device_id, any_value(site) as site, any_value(model) as model,
                count(*) as readings, min(event_time) as first_seen, max(event_time) as last_seen,
                count(*) filter (verdict = 'LATE') as late
            from readings {where} group by device_id) r
        left join (
            select device_id, count(*) as anomalies from anomalies {where} group by device_id) a
        using (device_id) order by anomalies desc, device_id
        """,
    ),
    "readings": (
        ("readings",),
        """
        select * exclude (event_date, reading_id, message_id, source, position, latitude, longitude)
        from readings {where} order by event_time desc, device_id
        """,
    ),
    "minutes": (
        ("minutes",),
        """
        select * exclude (event_date, event_time) from (
            select *, minute_start as event_time from minutes
            qualify revision = max(revision) over (partition by device_id, minute_start)
        ) {where} order by minute_start desc, device_id
        """,
    ),
    "anomalies": (
        ("anomalies",),
        """
        select device_id, site, event_time, score, sign, channels, explanation
        from anomalies {where} order by event_time desc, device_id
        """,
    ),
    # An incident as it stands: the newest of its transitions. A storm stands for its members, which
    # are shown where a device is asked for.
    "incidents": (
        ("incidents",),
        """
        select coalesce(device_id, site) as device, opened_at,
            cast(to_seconds(cast(duration as bigint)) as varchar)
                || case transition when 'resolved' then '' else ' …' end as lasted,
            kind, severity, explanation, transition, site, count, peak, sign, storm_id,
            incident_id, event_time, revision, operator
        from (select * from incidents {where})
        qualify revision = max(revision) over (partition by incident_id)
        order by opened_at desc, device
        """,
    ),
    "deliveries": (
        ("deliveries",),
        """
        select attempted_at, channel, device_id, site, kind, severity, transition, attempt, outcome,
            status, latency, since_arrival, key
        from (select *, attempted_at as event_time from deliveries) {where}
        order by attempted_at desc, key, channel
        """,
    ),
    "dead-letters": (
        ("dead_letters",),
        """
        select event_time as arrival_time, reason, path, error, payload, source, position
        from (select *, arrival_time as event_time, cast(null as varchar) as device_id,
            cast(null as varchar) as site from dead_letters) {where}
        order by event_time desc, source, position
        """,
    ),
}


# What a terminal has no room for (by the end of the name); --json and --csv give it.
_ASIDE: Mapping[View, tuple[str, ...]] = {
    "devices": ("model", "first_seen"),
    "readings": ("arrival_time", "known", "site", "model", "firmware", "attributes"),
    "minutes": ("site", "model", "_count", "_min", "_max", "_std", "_first", "_last"),
    "anomalies": ("channels", "site"),
    "incidents": (
        "transition",
        "site",
        "count",
        "peak",
        "sign",
        "storm_id",
        "incident_id",
        "event_time",
        "revision",
        "operator",
    ),
    "deliveries": ("site", "key", "kind", "latency"),
    "dead-letters": ("arrival_time", "source", "position", "path"),
}
_LONG = ("explanation", "error", "payload", "beyond_limits")


@dataclass(frozen=True)
class Wanted:
    """Which rows to show.

    Args:
        device: A device's id, or a glob.
        site: A site, or a glob.
        start: Event time (of dead letters the arrival time), inclusive.
        end: Exclusive.
        limit: Most rows.
    """

    device: str | None = None
    site: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int = 20

    def where(self) -> tuple[str, list[Any]]:
        """The SQL condition and its parameters."""
        terms = {
            "device_id glob ?": self.device,
            "site glob ?": self.site,
            "event_time >= ?": self.start,
            "event_time < ?": self.end,
        }
        given = {term: value for term, value in terms.items() if value is not None}
        return ("where " + " and ".join(given) if given else ""), list(given.values())


def query(lake: str, view: View, wanted: Wanted) -> pa.Table:
    """The rows of a view, the newest first.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no lake.
    """
    tables, sql = _VIEWS[view]
    where, parameters = wanted.where()
    if view == "incidents" and wanted.device is None:
        where += (" and " if where else "where ") + "storm_id is null"
    # The filters are the fixed terms above; what a user types is a parameter.
    text = f"select * from ({sql.format(where=where)}) limit {int(wanted.limit)}"  # noqa: S608
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for name in tables:
            connection.register(name, open_table(lake, name).to_pyarrow_dataset())
        found = connection.sql(text, params=parameters * sql.count("{where}"))
        return found.to_arrow_table()


def as_json(rows: pa.Table) -> str:
    """One JSON object a row, one row a line."""
    return "\n".join(json.dumps(row, default=_text, ensure_ascii=False) for row in rows.to_pylist())


def as_csv(rows: pa.Table) -> str:
    """Comma-separated values with a header line."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(rows.column_names)
    writer.writerows([_text(value) for value in row.values()] for row in rows.to_pylist())
    return sink.getvalue().rstrip()


def as_table(rows: pa.Table, view: View) -> Table:
    """A table for the terminal: the view's main columns, without those that are empty."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    shown = [
        field
        for field in rows.schema
        if not field.name.endswith(_ASIDE[view]) and rows.column(field.name).null_count < len(rows)
    ]
    for field in shown:
        long = field.name in _LONG
        cells = [len(_cell(value)) for value in rows.column(field.name).to_pylist()]
        table.add_column(
            field.name,
            justify="right" if _is_number(field.type) else "left",
            min_width=None if long else min(max(cells), 24),
            overflow="fold" if long else "ellipsis",
        )
    for row in rows.to_pylist():
        table.add_row(*(_cell(row[field.name]) for field in shown))
    return table


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _cell(value: Any) -> str:
    match value:
        case float():
            return f"{value:.5g}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _:
            text = _text(value)
            return escape(text if len(text) <= 100 else text[:99] + "…")


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%S}" + (f".{value.microsecond // 1000:03d}Z")
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case list():
            return ", ".join(str(item) for item in value)
        case _:
            return str(value)
