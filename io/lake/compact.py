"""Compact: fewer and larger files, without the ones that nobody reads any more."""

import time
from collections.abc import Callable
from typing import NamedTuple

from deltalake import DeltaTable
from pyarrow import fs

from eddyline.io.lake.raw import RAW, RAW_FILES
from eddyline.io.lake.read import open_table, raw_files
from eddyline.io.lake.storage import Location, locate

SAFE_HOURS = 24
WEEK_HOURS = 168


class Compacted(NamedTuple):
    """What compaction did to one table.

    Attributes:
        table: Its name; `raw` for the Avro files.
        merged: Small files that were replaced.
        into: Files they were replaced by.
        removed: Files deleted from storage: replaced long ago, or never committed.
    """

    table: str
    merged: int
    into: int
    removed: int


def compact(
    lake: str,
    retention_hours: int = WEEK_HOURS,
    force: bool = False,
    clock: Callable[[], float] = time.time,
) -> list[Compacted]:
    """Merge small files, delete unused ones older than the retention, trim the logs.

    Safe while jobs write and readers read: rows, and what a job has committed, stay as they are. A
    file that was gathered and not yet committed is unused until its commit, so the retention must
    be longer than a job can be stopped with a savepoint and resumed; a commit whose file is gone
    fails.

    Args:
        lake: Where.
        retention_hours: How long an unused file is kept, and how far back a reader can travel.
        force: Allow a retention below 24 hours. Only while no job writes.
        clock: Seconds since the epoch; tells the age of raw files (Delta has its own clock).

    Raises:
        ValueError: A retention below 24 hours without force.
    """
    if retention_hours < 0 or (retention_hours < SAFE_HOURS and not force):
        raise ValueError(
            f"retention_hours: {retention_hours} is below {SAFE_HOURS}: files that wait for their "
            "commit would be deleted; force it only while no job writes"
        )
    place = locate(lake)
    done = [
        _compact_table(open_table(lake, name), name, retention_hours) for name in table_names(place)
    ]
    if any(table.table == RAW_FILES.name for table in done):
        before = clock() - retention_hours * 3600
        removed = _remove_raw_orphans(lake, place, before)
        done.append(Compacted(RAW, 0, 0, removed))
    return done


def table_names(place: Location) -> list[str]:
    """Name the Delta tables of a lake."""
    root = fs.FileSelector(place.root, allow_not_found=True)
    folders = [
        info for info in place.filesystem.get_file_info(root) if info.type == fs.FileType.Directory
    ]
    logs = place.filesystem.get_file_info([f"{info.path}/_delta_log" for info in folders])
    return sorted(
        folder.base_name
        for folder, log in zip(folders, logs, strict=True)
        if log.type == fs.FileType.Directory
    )


def _compact_table(table: DeltaTable, name: str, retention_hours: int) -> Compacted:
    merged = table.optimize.compact()
    table.update_incremental()
    removed = table.vacuum(
        retention_hours=retention_hours,
        dry_run=False,
        enforce_retention_duration=False,  # ours is enforced above
        full=True,  # the orphans of failed bundles are in no log
    )
    table.update_incremental()
    table.create_checkpoint()
    table.cleanup_metadata()
    return Compacted(name, merged["numFilesRemoved"], merged["numFilesAdded"], len(removed))


def _remove_raw_orphans(lake: str, place: Location, before: float) -> int:
    found = place.filesystem.get_file_info(
        fs.FileSelector(place.join(RAW), recursive=True, allow_not_found=True)
    )
    # Listed first, read second: a file committed in between is in the index that is read.
    known = {place.join(file.path) for file in raw_files(lake)}
    orphans = [
        info.path
        for info in found
        if info.type == fs.FileType.File and info.mtime_ns < before * 1e9 and info.path not in known
    ]
    for path in orphans:
        place.filesystem.delete_file(path)
    return len(orphans)
