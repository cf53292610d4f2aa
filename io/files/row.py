"""What the formats with rows give."""

from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """A message of a file.

    Args:
        payload: Its bytes.
        number: Of its first row in the file, from 1.
        attributes: Those of `mark` where the row could not be read.
    """

    payload: bytes
    number: int
    attributes: Mapping[str, str] = {}
