"""The files of one table that wait for their commit: a small value, kept in state as bytes.

Two phases. *Numbered*: each file gets the next number, in state. *Committed*: once a number is
durable, which means that no recovery can give it to another file, one Delta commit adds the files
up to a number and records that number as the job's application transaction. A file whose number the
transaction has reached was committed, whatever became of it since (compaction included).

A job has its own transaction, named after the first file it numbered. So two jobs on one table (a
live run and a replay) cannot take each other's numbers for their own and drop what was never
committed, and a new job over an old lake simply starts at 1.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

_VERSION = 1


class Numbered(NamedTuple):
    """A file and its number.

    Attributes:
        number: Ascending by one from 1 in a job's table.
        process: The process that numbered it.
        file: The encoded `DataFile`.
    """

    number: int
    process: str
    file: bytes


@dataclass(frozen=True)
class Pending:
    """Files that have a number and no commit yet, oldest first.

    >>> pending = Pending().number([b"one", b"two"], process="p").number([b"three"], process="p")
    >>> [entry.number for entry in pending.due(lambda entry: entry.number < 3)]
    [1, 2]
    >>> pending.without(2).files
    (Numbered(number=3, process='p', file=b'three'),)
    >>> Pending.decode(pending.encode()) == pending
    True
    """

    job: str = ""
    next: int = 1
    files: tuple[Numbered, ...] = ()

    def number(self, files: Iterable[bytes], process: str) -> "Pending":
        """Give each file the next number.

        The job's name is derived from its first file, so an attempt that is repeated with the same
        file is the same job, and there is no other source of names.
        """
        given = tuple(
            Numbered(number, process, file) for number, file in enumerate(files, self.next)
        )
        if not given:
            return self
        job = self.job or hashlib.sha256(given[0].file).hexdigest()[:16]
        return replace(self, job=job, next=self.next + len(given), files=self.files + given)

    def due(self, durable: Callable[[Numbered], bool]) -> tuple[Numbered, ...]:
        """Give the files that can be committed now: no number goes before a lower one."""
        return tuple(takewhile(durable, self.files))

    def without(self, number: int) -> "Pending":
        """Forget the files up to a number: they are committed."""
        return replace(self, files=tuple(file for file in self.files if file.number > number))

    def encode(self) -> bytes:
        """Give the value as versioned bytes."""
        files = [(number, process, file.decode("latin-1")) for number, process, file in self.files]
        return json.dumps([_VERSION, self.job, self.next, files]).encode()

    @classmethod
    def decode(cls, record: bytes | None) -> "Pending":
        """Read what this or an earlier version encoded; nothing is a new job.

        Raises:
            ValueError: The bytes are of a later version.
        """
        if record is None:
            return cls()
        version, *fields = json.loads(record)
        if version != _VERSION:
            raise ValueError(f"pending files of version {version}, this code knows {_VERSION}")
        job, following, files = fields
        entries = (Numbered(number, by, text.encode("latin-1")) for number, by, text in files)
        return cls(job, following, tuple(entries))
