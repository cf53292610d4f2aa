"""What a live run's lake has by now: its commits, and how its incidents stand."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from deltalake.exceptions import DeltaError

from eddyline.io.lake.read import open_table

LAST = 8
TABLES = ("readings", "minutes", "incidents", "dead_letters")

_INCIDENTS = """
with stand as (
    select coalesce(device_id, site) as device, * from incidents where storm_id is null
    qualify revision = max(revision) over (partition by incident_id)
)
select device, opened_at, kind, severity, transition, explanation,
    count(*) filter (transition <> 'resolved') over () as open
from stand order by opened_at desc, device limit ?
"""


class Standing(NamedTuple):
    """One incident as it stands."""

    device: str
    opened_at: datetime
    kind: str
    severity: str
    open: bool
    explanation: str


@dataclass(frozen=True)
class LakeNow:
    """The lake at one moment.

    Args:
        commits: Of all tables together.
        open: Incidents that are not resolved; a storm counts for its members.
        last: The newest incidents, the newest first.
    """

    commits: int = 0
    open: int = 0
    last: tuple[Standing, ...] = ()


@dataclass
class LakeWatch:
    """Looks at a lake on this machine's disk again and again.

    It holds no table open: an open one keeps every commit that it was told of. The names of the
    log's files say how many there are, and the incidents are read where there are new ones.

    Args:
        lake: Where.
    """

    lake: str
    _now: LakeNow = field(default_factory=LakeNow, init=False)
    _known: int = field(default=0, init=False)

    def look(self) -> LakeNow:
        """How it is now; its incidents as they were, where they cannot be read at the moment."""
        versions = {name: self._version(name) for name in TABLES}
        if versions["incidents"] != self._known:
            try:
                self._now = self._incidents()
                self._known = versions["incidents"]
            except (DeltaError, OSError, duckdb.Error):
                pass
        return LakeNow(sum(versions.values()), self._now.open, self._now.last)

    def rows(self, name: str) -> int:
        """Rows of a table, by what was committed."""
        return int(open_table(self.lake, name).to_pyarrow_dataset().count_rows())

    def _version(self, name: str) -> int:
        commits = Path(self.lake, name, "_delta_log").glob("*.json")
        return max((int(path.stem) for path in commits if path.stem.isdigit()), default=0)

    def _incidents(self) -> LakeNow:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            connection.register(
                "incidents", open_table(self.lake, "incidents").to_pyarrow_dataset()
            )
            rows: list[Any] = connection.execute(_INCIDENTS, [LAST]).fetchall()
        last = tuple(
            Standing(device, opened_at, kind, severity, transition != "resolved", explanation)
            for device, opened_at, kind, severity, transition, explanation, _ in rows
        )
        return LakeNow(0, int(rows[0][-1]) if rows else 0, last)
