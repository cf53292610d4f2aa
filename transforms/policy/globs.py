"""Globs over names, and how much each of them says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate

NOTHING, EXACT = (0, 0), 2
_WILD = re.compile(r"[*?]|\[!?\]?[^\]]*\]")
Rank = tuple[int, int]


@dataclass(frozen=True)
class Globs:
    """One or more globs (`*`, `?`, `[a-z]`; case matters), of which one has to match.

    Args:
        texts: The globs.
    """

    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        # Compiled once: a rule is asked about each device of a fleet.
        tests = [
            (text.__eq__ if said[0] == EXACT else re.compile(translate(text)).match, said)
            for text, said in ((text, rank(text)) for text in self.texts)
        ]
        object.__setattr__(self, "_tests", tests)

    def __reduce__(self) -> tuple[type["Globs"], tuple[tuple[str, ...]]]:
        return Globs, (self.texts,)

    @classmethod
    def of(cls, written: str | Sequence[str]) -> "Globs":
        """Globs of what a file says: one, or a list."""
        return cls((written,) if isinstance(written, str) else tuple(written))

    def match(self, name: str | None) -> Rank | None:
        """The highest rank of those that match; None where none does. No name matches no glob.

        Example:
            >>> globs = Globs.of(["cold-*", "cold-room-7"])
            >>> globs.match("cold-room-7"), globs.match("cold-box"), globs.match("hall")
            ((2, 11), (1, 5), None)
            >>> globs.match(None) is None
            True
        """
        best: Rank | None = None
        if name is not None:
            for test, said in self._tests:  # type: ignore[attr-defined] # set in __post_init__
                if test(name) and (best is None or said > best):
                    best = said
        return best


def rank(glob: str) -> Rank:
    """How much a glob says: a whole name most, then the more literal characters; `*` nothing.

    Example:
        >>> rank("cold-room-7"), rank("cold-*"), rank("room-[0-9]"), rank("*")
        ((2, 11), (1, 5), (1, 5), (0, 0))
    """
    if glob == "*":
        return NOTHING
    literal = _WILD.sub("", glob)
    return (EXACT if literal == glob else 1, len(literal))
