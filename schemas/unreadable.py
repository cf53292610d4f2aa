"""How a source marks what it could not read: as a message, so that it is counted and kept."""

from collections.abc import Mapping
from typing import Literal, get_args

UNREADABLE, WORDS = "eddyline-unreadable", "eddyline-error"
Why = Literal["damaged_file", "bad_row"]
_WHYS = {why: why for why in get_args(Why)}


def mark(why: Why, words: str) -> dict[str, str]:
    """The attributes of a message that stands for what could not be read.

    Its payload is what there was to read, its position where. `Decode` makes it a dead letter of
    the stage `read`.

    Example:
        >>> unreadable(mark("bad_row", "2 fields, and 3 columns"))
        ('bad_row', '2 fields, and 3 columns')
    """
    return {UNREADABLE: why, WORDS: words[:500]}


def unreadable(attributes: Mapping[str, str]) -> tuple[Why, str] | None:
    """Why it could not be read, in a code and in words; None for a message that was read.

    Example:
        >>> unreadable({"type": "data"}) is None
        True
    """
    why = attributes.get(UNREADABLE)
    if why is None:
        return None
    words = attributes.get(WORDS, "")[:500] or "it was marked as unreadable"
    return _WHYS.get(why, "damaged_file"), words
