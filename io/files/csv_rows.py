"""CSV: a row with a name for each field is a reading."""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from eddyline.io.files.damaged import Damaged
from eddyline.io.files.kinds import Kinds
from eddyline.io.files.lines import lines_of
from eddyline.io.files.row import Row
from eddyline.schemas.unreadable import mark

LONGEST = 2**20  # bytes of a row
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def csv_rows(file: BinaryIO, kinds: Kinds) -> Iterator[Row]:
    r"""The rows as JSON objects; an empty field is a value that is missing.

    Guarantee: every row but the first, which names the columns, and but empty lines is given
    once, in order, numbered from 1. One that is not as wide as the first, breaks the quoting
    (RFC 4180), is no UTF-8 or longer than 1 MiB is marked as bad and the next one is read. The
    columns are apart by comma, semicolon or tab, whichever the first row has most of. A number
    stays as it was written.

    Args:
        file: Open for reading bytes.
        kinds: What the columns hold; of a column that nobody declared the values are text.

    Raises:
        Damaged: The file is, or its first row does not name the columns.

    Example:
        >>> import io
        >>> kinds = Kinds(frozenset({"device"}), frozenset({"temperature"}), frozenset())
        >>> file = io.BytesIO(b"device,temperature,room\n07,21.50,12\n08,,\n")
        >>> [row.payload for row in csv_rows(file, kinds)]
        [b'{"device":"07","temperature":21.50,"room":"12"}', b'{"device":"08"}']
    """
    lines = _Lines(lines_of(file))
    try:
        names = _names(lines)
        if not names:
            return
        parsed = csv.reader(lines, delimiter=lines.delimiter, strict=True)
        number = 1
        while True:
            lines.clear()
            try:
                fields = next(parsed, None)
                if fields is None:
                    return
                if not fields:
                    continue
                yield Row(_payload(names, fields, kinds), number)
            except (csv.Error, ValueError) as error:
                yield Row(lines.taken, number, mark("bad_row", str(error)))
            number += 1
    except Damaged as error:
        error.rest = b"\n".join([*filter(None, [lines.taken]), error.rest])
        raise


class _Lines:
    """Lines for the CSV parser, which asks for as many as a row has."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._taken: list[bytes] = []
        self._size = 0
        self.delimiter = ","

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self._size > LONGEST:
            raise ValueError(f"a row of more than {LONGEST} bytes; is a quote left open?")
        line = next(self._lines)
        self._taken.append(line)
        self._size += len(line) + 1
        return line.decode("utf-8", "surrogateescape") + "\n"

    def clear(self) -> None:
        """A new row begins."""
        self._taken, self._size = [], 0

    @property
    def taken(self) -> bytes:
        """The lines since a row began."""
        return b"\n".join(self._taken)


def _names(lines: _Lines) -> Sequence[str]:
    """The columns' names; none of an empty file."""
    first = next((line for line in lines if line.strip("\ufeff\r\n ")), "")
    first = first.removeprefix("\ufeff")
    lines.delimiter = max(",;\t", key=first.count)
    try:
        fields = next(csv.reader([first], delimiter=lines.delimiter, strict=True), [])
        names = [name.strip() for name in fields]
        "".join(names).encode()
    except (csv.Error, UnicodeEncodeError) as error:
        raise Damaged(f"the first row does not name the columns: {error}") from error
    if "" in names or len(set(names)) < len(names):
        raise Damaged("the first row does not name the columns: a name is empty or there twice")
    return names


def _payload(names: Sequence[str], fields: Sequence[str], kinds: Kinds) -> bytes:
    if len(fields) != len(names):
        raise ValueError(f"{len(fields)} fields, and {len(names)} columns")
    values: dict[str, Any] = {}
    for name, field in zip(names, fields, strict=True):
        if not field:
            continue
        if name in kinds.numbers:
            values[name] = _number(field)
        elif name in kinds.booleans:
            values[name] = _BOOLEANS.get(field.strip().lower(), field)
        else:
            values[name] = field
    return msgspec.json.encode(values)


def _number(field: str) -> Any:
    """The number as it was written; text where it is none: its refusal names the field."""
    stripped = field.strip()
    if _JSON_NUMBER.fullmatch(stripped):
        return msgspec.Raw(stripped.encode())
    try:
        value = float(stripped)
    except ValueError:
        return field
    return value if math.isfinite(value) and "_" not in stripped else field
