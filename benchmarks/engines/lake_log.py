"""What is in a table of a local lake, and since when: from the table's own log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Commit(NamedTuple):
    """One commit that added files.

    Args:
        seen: When a reader could first see it, seconds since the epoch.
        files: Paths relative to the table's folder.
        rows: Of the files together.
    """

    seen: float
    files: tuple[str, ...]
    rows: int


def commits(table: Path) -> Iterator[Commit]:
    """The table's commits in their order; none where there is no table yet."""
    for entry in sorted((table / "_delta_log").glob("*.json")):
        added = [
            action["add"]
            for line in entry.read_text(encoding="utf-8").splitlines()
            if "add" in (action := json.loads(line))
        ]
        if added:
            rows = sum(json.loads(add["stats"])["numRecords"] for add in added)
            yield Commit(entry.stat().st_mtime, tuple(add["path"] for add in added), rows)


class LakeRows:
    """Rows of a table, looked at again and again; reads each entry of the log once.

    Args:
        table: The table's folder.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        self.rows, self.seen, self._known = 0, 0.0, 0

    def look(self) -> int:
        """The rows that are committed by now; `seen` is when the last of them was."""
        entries = len(list((self.table / "_delta_log").glob("*.json")))
        if entries != self._known:
            found = list(commits(self.table))
            self._known = entries
            self.rows = sum(commit.rows for commit in found)
            self.seen = found[-1].seen if found else 0.0
        return self.rows
