"""A file that is read again when it changes, such as the device registry or the policy."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from eddyline.transforms.counts import count

LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Reloaded(Generic[T]):
    r"""What a file says, read again when the file changes.

    Guarantee: `current` is always what was read whole and found right. A file that has become
    wrong, unreadable or is gone keeps the last good one; that is logged and counted as
    `<name>_refused` once a trouble, and looked at again until it is over.

    Args:
        path: Local, `s3://` or `gs://`.
        parse: Makes a value of path and content; what is wrong is a ValueError.
        refresh: Seconds between looks at the file.
        clock: Seconds that only grow.
        name: What the file is, for counters and logs.

    Raises:
        ValueError: The file is wrong at the start, when there is no last good one.
        BeamIOError: It is not there at the start.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "limit.txt")
        >>> _ = path.write_bytes(b"30\n")
        >>> def read(path: str, content: bytes) -> int:
        ...     return int(content)
        >>> limit = Reloaded(str(path), read, 60, lambda: 0.0, "limit")
        >>> limit.current(), limit.version
        (30, 1)
    """

    def __init__(
        self,
        path: str,
        parse: Callable[[str, bytes], T],
        refresh: float,
        clock: Callable[[], float],
        name: str,
    ) -> None:
        self.path, self.parse, self.name = path, parse, name
        self.refresh, self.clock = refresh, clock
        self._looked = clock()
        # Asked for before reading: a write between the two is seen at the next look.
        self._updated = FileSystems.last_updated(path)
        self._value = self._read()
        self._version = 1
        self._trouble = ""

    def current(self) -> T:
        """What the file said at the last look."""
        if self.clock() - self._looked >= self.refresh:
            self._looked = self.clock()
            self._look()
        return self._value

    @property
    def version(self) -> int:
        """Grows with each reload; ask it after `current`, and forget what was made of an older."""
        return self._version

    def _look(self) -> None:
        try:
            updated = FileSystems.last_updated(self.path)
            if updated != self._updated:
                self._value = self._read()
                self._updated = updated
                self._version += 1
                count(f"{self.name}_reloaded")
            self._trouble = ""
        except (BeamIOError, OSError, ValueError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                count(f"{self.name}_refused")
                LOG.warning("%s kept as it was: %s", self.name, error)

    def _read(self) -> T:
        with FileSystems.open(self.path) as file:
            return self.parse(self.path, file.read())
