"""What is wrong in a file that people write, in words that say what to do."""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")
Path = tuple[str | int, ...]
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_YAML_WORDS = {"`object`": "`key: value` lines", "`array`": "a list", "`null`": "nothing"}


class Misread(ValueError):
    """What is wrong at one place of a file.

    Args:
        words: What is wrong.
        path: Where: keys and indexes from the top.
    """

    def __init__(self, words: str, path: Path) -> None:
        super().__init__(words)
        self.path = path

    @classmethod
    def unknown(cls, what: str, name: str, known: Iterable[str], path: Path) -> "Misread":
        """A name that is none of those that there are, with the nearest one.

        Example:
            >>> Misread.unknown("channel", "pagr", ["pager", "mail"], ())
            Misread("no such channel 'pagr'; did you mean 'pager'? There are: mail, pager")
        """
        there = sorted(known)
        near = get_close_matches(name, there, 1)
        hint = f"; did you mean {near[0]!r}? There are" if near else "; there are"
        return cls(f"no such {what} {name!r}{hint}: {', '.join(there) or 'none'}", path)


def convert(
    written: Any, kind: type[T], path: Path, spelled: Callable[[type[Any], Any], Any] | None = None
) -> T:
    """Check what a file says against a msgspec type.

    Args:
        written: Plain values, as YAML or JSON have them.
        kind: What it must be.
        path: Where it stands in the file.
        spelled: msgspec's `dec_hook`.

    Raises:
        Misread: It is not that.

    Example:
        >>> class Point(msgspec.Struct, forbid_unknown_fields=True):
        ...     east: float
        >>> convert({"west": 1}, Point, ("points", 0))
        Traceback (most recent call last):
        eddyline.transforms.policy.misread.Misread: no such key 'west'; did you mean 'east'?
        There are: east
    """
    try:
        return msgspec.convert(written, kind, dec_hook=spelled)
    except msgspec.ValidationError as error:
        words, _, place = str(error).rpartition(" - at ")
        words, place = (words, place) if words else (place, "")
        steps: list[str | int] = [
            int(index) if index else name for name, index in _STEP.findall(place)
        ]
        raise _told(words, steps, path, kind, written) from None


def _told(words: str, steps: Sequence[str | int], path: Path, kind: Any, written: Any) -> Misread:
    place = (*path, *steps)
    if found := re.fullmatch(r"Object contains unknown field `(.*)`", words, re.DOTALL):
        return Misread.unknown(
            "key", found[1], _keys(_at(kind, steps, written)), (*place, found[1])
        )
    if found := re.fullmatch(r"Object missing required field `(.*)`", words):
        return Misread(f"{found[1]!r} is missing", place)
    if found := re.fullmatch(r"Invalid (?:enum )?value '(.*)'", words, re.DOTALL):
        choices = _choices(_at(kind, steps, written)) or _tags(_at(kind, steps[:-1], written))
        return Misread.unknown("value", found[1], choices, place)
    if words.endswith("`str`") and not steps:  # the rest is "at `key` in ..."
        return Misread("a key that is no word: write it in quotes", place)
    for wire, yaml in _YAML_WORDS.items():
        words = words.replace(wire, yaml)
    return Misread(words[0].lower() + words[1:] if words[:8] == "Expected" else words, place)


def _at(kind: Any, steps: Sequence[str | int], written: Any) -> list[inspect.Type]:
    """What may stand at a place; of a tagged union what the tag that is written says."""
    kinds = _alternatives(inspect.type_info(kind), written)
    for step in steps:
        below: list[inspect.Type] = []
        for one in kinds:
            if isinstance(one, inspect.StructType):
                below += [f.type for f in one.fields if f.encode_name == step]
            elif isinstance(one, inspect.VarTupleType | inspect.ListType):
                below.append(one.item_type)
        written = written[step] if _has(written, step) else None
        kinds = [alternative for one in below for alternative in _alternatives(one, written)]
    return kinds


def _has(written: Any, step: str | int) -> bool:
    return step in written if isinstance(written, dict) else isinstance(written, list)


def _alternatives(kind: inspect.Type, written: Any) -> list[inspect.Type]:
    if not isinstance(kind, inspect.UnionType):
        return [kind]
    tagged: list[inspect.Type] = [
        one
        for one in kind.types
        if isinstance(one, inspect.StructType)
        and isinstance(written, dict)
        and one.tag == written.get(one.tag_field)
        and one.tag is not None
    ]
    return tagged or list(kind.types)


def _keys(kinds: Sequence[inspect.Type]) -> list[str]:
    structs = [one for one in kinds if isinstance(one, inspect.StructType)]
    names = {f.encode_name for one in structs for f in one.fields}
    return sorted(names | {one.tag_field for one in structs if one.tag_field})


def _choices(kinds: Sequence[inspect.Type]) -> list[str]:
    return [
        str(value) for one in kinds if isinstance(one, inspect.LiteralType) for value in one.values
    ]


def _tags(kinds: Sequence[inspect.Type]) -> list[str]:
    return [str(one.tag) for one in kinds if isinstance(one, inspect.StructType) and one.tag]
