"""A disk of a few megabytes, which is full when a test says so."""

import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path


class NoDisk(Exception):
    """None can be mounted here; the words say why."""


class SmallDisk:
    """A mounted tmpfs.

    Attributes:
        path: Where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, left: int = 0) -> None:
        """Take all its room but some bytes."""
        room = os.statvfs(self.path)
        wanted = room.f_bavail * room.f_frsize - left
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            while wanted > 0:  # others may write as well: then it is full sooner
                wanted -= filler.write(bytes(min(wanted, 1 << 20)))

    def make_room(self) -> None:
        """Give it back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, size: str):
    """A new disk, unmounted at the end.

    Raises:
        NoDisk: The right to mount is missing, or tmpfs.
    """
    path.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", None) or str(error)
        raise NoDisk(f"needs the right to mount a tmpfs: {words.strip()}") from error
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", path], check=True)
