"""Fetching: what every download of parts needs, so that what is there is whole."""

import shutil
from collections.abc import Callable
from pathlib import Path


class Unavailable(Exception):
    """A part cannot be had here; the message says which and why."""


def tool(name: str, what: str) -> str:
    """Where a program is.

    Args:
        name: Of the program.
        what: To install, for who has none.

    Raises:
        Unavailable: There is none.
    """
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"there is no {name} here: install {what}")
    return found


def whole(target: Path, make: Callable[[Path], None]) -> None:
    """Make a file or folder beside its place; only when it is whole it gets its name."""
    work = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove(work)
    try:
        make(work)
        work.rename(target)
    finally:
        _remove(work)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
