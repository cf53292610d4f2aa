"""Open a file wherever it is; whose fault a trouble is, the file's or the transport's."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from eddyline.io.files.damaged import Damaged
from eddyline.io.files.s3 import open_object
from eddyline.io.files.unpack import Pieces, unpacker_of


@contextmanager
def opened(path: str) -> Generator[BinaryIO]:
    """The file's bytes, unpacked by the ending of its name.

    Beam would unpack it too, but takes a truncated file for a whole one.

    Raises:
        Damaged: It is truncated or damaged; the message begins with its name.
    """
    with opened_as_it_is(path) as file:
        unpacked = unpacker_of(path)
        try:
            yield cast("BinaryIO", Pieces(unpacked(file))) if unpacked else file
        except Damaged as error:
            raise Damaged(f"{path}: {error}", error.rest) from error


@contextmanager
def opened_as_it_is(path: str) -> Generator[BinaryIO]:
    """The file's bytes, and errors of the transport as they are, whatever a parser makes of them.

    Raises:
        Exception: What the transport raised.
    """
    with _open(path) as file:
        carried = Carried(file)
        try:
            yield cast("BinaryIO", carried)
        except Exception as error:
            if carried.trouble is not None and carried.trouble is not error:
                raise carried.trouble from error
            raise


def _open(path: str) -> BinaryIO:
    if path.startswith("s3://"):
        return open_object(path)
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


class Carried:
    """A file that remembers the trouble of its transport: parsers wrap it in errors of theirs."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.trouble: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        return self._try(self._file.read, size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go there."""
        self._try(self._file.seek, offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        """Where it stands."""
        return self._file.tell()

    def readable(self) -> bool:
        """It is read."""
        return True

    def writable(self) -> bool:
        """It is not written."""
        return False

    def seekable(self) -> bool:
        """Parquet needs that."""
        return True

    def close(self) -> None:
        """Whoever opened it closes it."""

    @property
    def closed(self) -> bool:
        """Whether it is."""
        return self._file.closed

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def _try(self, do: Any, *arguments: int) -> Any:
        try:
            return do(*arguments)
        except Exception as error:
            self.trouble = error
            raise
