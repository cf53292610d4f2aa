"""The files under a pattern, and which of them were read."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from apache_beam.io.filesystem import BeamIOError, FileSystem
from apache_beam.io.filesystems import FileSystems
from xxhash import xxh3_64_intdigest

from eddyline.io.aws.troubles import TROUBLES as AWS_TROUBLES
from eddyline.io.files.s3 import list_objects
from eddyline.io.files.troubles import in_words, missing
from eddyline.io.sources.source import Unreadable


class Listed(NamedTuple):
    """A version of a file: a changed file is another one. Compares in the order of reading.

    Args:
        changed: When it was last changed, µs since the epoch.
        path: Its name.
        size: In bytes.
    """

    changed: int
    path: str
    size: int

    @property
    def mark(self) -> int:
        """64 bits that tell it from others."""
        return xxh3_64_intdigest(f"{self.path}\0{self.size}\0{self.changed}".encode())

    def of_lane(self, lane: int, lanes: int) -> bool:
        """Whether a reader is to read it; by its name, so that its versions keep their order."""
        return lanes == 1 or xxh3_64_intdigest(self.path.encode()) % lanes == lane


def list_files(pattern: str) -> list[Listed]:
    """The files that match now, the earliest change first.

    Raises:
        Unreadable: They cannot be listed.
    """
    place = place_of(pattern)
    try:
        if pattern.startswith("s3://"):
            return sorted(_on_s3(pattern))
        if "://" not in pattern and not Path(place).is_dir():
            raise missing(place)
        found = [file for match in FileSystems.match([pattern]) for file in match.metadata_list]
    except Unreadable:
        raise
    except (BeamIOError, OSError, ValueError, RuntimeError, *AWS_TROUBLES) as error:
        raise in_words(error, place) from error
    return sorted(
        Listed(round(file.last_updated_in_seconds * 1_000_000), file.path, file.size_in_bytes)
        for file in found
    )


def _on_s3(pattern: str) -> Iterator[Listed]:
    matches = re.compile(FileSystem.translate_pattern(pattern)).match
    for listed in list_objects(_fixed(pattern)):
        if matches(listed.path):
            yield Listed(listed.changed, listed.path, listed.size)


def _fixed(pattern: str) -> str:
    return pattern[: min((pattern.find(c) for c in "*?[" if c in pattern), default=len(pattern))]


def place_of(pattern: str) -> str:
    """What has to be there for files to come: the bucket, or the folder above the first wildcard.

    Example:
        >>> place_of("s3://bucket/a/*.jsonl"), place_of("in/2026-*/a.csv"), place_of("*.csv")
        ('s3://bucket', 'in', '.')
    """
    scheme, separator, rest = pattern.rpartition("://")
    if separator:
        return f"{scheme}://{rest.partition('/')[0]}"
    fixed = _fixed(pattern)
    return fixed.rpartition("/")[0] or ("/" if fixed.startswith("/") else ".")


def encode_marks(marks: Iterable[int]) -> str:
    """The marks of files that were read, as text of 11 characters each."""
    return b64encode(np.array(sorted(marks), "<u8").tobytes()).decode()


def decode_marks(text: str) -> set[int]:
    """The marks that `encode_marks` was given.

    Example:
        >>> decode_marks(encode_marks({7, 2**64 - 1})) == {7, 2**64 - 1}
        True
    """
    return set(np.frombuffer(b64decode(text), "<u8").tolist())
