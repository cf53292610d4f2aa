"""A channel: one measured quantity, declared once in a schema file."""

import json
import math
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

Kind = Literal["double", "long", "boolean"]

_KINDS: dict[str, Kind] = {
    "double": "double",
    "float": "double",
    "int": "long",
    "long": "long",
    "boolean": "boolean",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Channel:
    """One measured quantity.

    Args:
        name: Lower-case letters, digits and underscores; a column's name.
        minimum: Smallest value that is physically possible, in `unit`.
        maximum: Largest value that is physically possible, in `unit`.
        kind: Its type. A boolean's limits are 0 and 1.
        unit: The unit's symbol; "1" for a plain number.
        keep: Keep readings outside the limits instead of refusing them.
        doc: What it measures, in words.

    Example:
        >>> Channel("temperature", -40.0, 85.0, unit="°C").kind
        'double'
        >>> Channel("temperature", 85.0, -40.0)
        Traceback (most recent call last):
        ValueError: channel 'temperature': minimum 85.0 is not below maximum -40.0
    """

    name: str
    minimum: float
    maximum: float
    kind: Kind = "double"
    unit: str = "1"
    keep: bool = False
    doc: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"channel {self.name!r}: a name is a lower-case letter and then up to 62 "
                "lower-case letters, digits or underscores"
            )
        if not self.minimum < self.maximum:
            raise ValueError(
                f"channel {self.name!r}: minimum {self.minimum} is not below maximum {self.maximum}"
            )
        if max(abs(self.minimum), abs(self.maximum)) > 2.0**62:
            raise ValueError(f"channel {self.name!r}: limits beyond ±2^62 cannot be summed exactly")


@dataclass(frozen=True)
class ChannelFile:
    """What a schema file declares: channels, and other names of the standard fields.

    Args:
        name: The file's record name.
        channels: In the order of the file, which is the order of the columns.
        aliases: Standard field -> names under which it may also be sent.
    """

    name: str
    channels: tuple[Channel, ...]
    aliases: dict[str, tuple[str, ...]]


def read_channel_file(text: str, standard: frozenset[str]) -> ChannelFile:
    """Read a schema file: an Avro record in which every field that is not standard is a channel.

    Args:
        text: The file's JSON.
        standard: Names of the standard fields, such as `device_id`. They may be left out; one that
            is there can name `aliases`.

    Raises:
        ValueError: What is wrong, with the field's name.

    Example:
        >>> text = '''{"type": "record", "name": "tank", "fields": [
        ...     {"name": "event_time", "type": "long", "aliases": ["t"]},
        ...     {"name": "level", "type": "double", "unit": "m", "minimum": 0, "maximum": 9}]}'''
        >>> file = read_channel_file(text, frozenset({"event_time"}))
        >>> file.channels[0].name, file.channels[0].unit, file.aliases
        ('level', 'm', {'event_time': ('t',)})
    """
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("type") != "record":
        raise ValueError(
            'not an Avro record: {"type": "record", "name": …, "fields": […]} expected'
        )
    declared: Any = record.get("fields", [])
    if not isinstance(declared, list) or not all(
        isinstance(field, dict) and isinstance(field.get("name"), str) for field in declared
    ):
        raise ValueError('"fields" is a list of objects, each with a "name"')
    channels: list[Channel] = []
    aliases: dict[str, tuple[str, ...]] = {}
    for field in declared:
        if field["name"] not in standard:
            channels.append(_channel(field))
        elif "aliases" in field:
            aliases[field["name"]] = _aliases(field)
    sent = [field["name"] for field in declared] + [a for names in aliases.values() for a in names]
    if twice := {name for name in sent if sent.count(name) > 1}:
        raise ValueError(f"declared twice: {', '.join(sorted(twice))}")
    if not channels:
        raise ValueError("no channel declared: a field that is not a standard one is a channel")
    return ChannelFile(str(record.get("name", "channels")), tuple(channels), aliases)


def _aliases(field: dict[str, Any]) -> tuple[str, ...]:
    given: Any = field["aliases"]
    if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
        raise ValueError(f'field {field["name"]!r}: "aliases" is a list of names, not {given!r}')
    return tuple(given)


def _channel(field: dict[str, Any]) -> Channel:
    name = str(field.get("name"))
    if field.get("aliases"):
        raise ValueError(f'channel {name!r}: only a standard field has "aliases"')
    avro: Any = field.get("type")
    if isinstance(avro, list):
        avro = next((kind for kind in avro if kind != "null"), None)
    if not isinstance(avro, str) or avro not in _KINDS:
        raise ValueError(f"channel {name!r}: type {avro!r} is none of {', '.join(_KINDS)}")
    kind = _KINDS[avro]
    low, high = (
        (0.0, 1.0)
        if kind == "boolean"
        else (_limit(field.get("minimum")), _limit(field.get("maximum")))
    )
    if low is None or high is None:
        raise ValueError(
            f'channel {name!r}: its physical limits "minimum" and "maximum" are needed'
        )
    policy = field.get("out_of_range", "refuse")
    if policy not in ("refuse", "keep"):
        raise ValueError(f'channel {name!r}: "out_of_range" is "refuse" or "keep", not {policy!r}')
    return Channel(
        name,
        low,
        high,
        kind,
        str(field.get("unit", "1")),
        keep=policy == "keep",
        doc=str(field.get("doc", "")),
    )


def _limit(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # refused as too large, like any other
        return math.inf if value > 0 else -math.inf


def channel_file_text(name_or_path: str) -> str:
    """The text of a schema file: a path, or the name of one that eddyline ships (`room`).

    Raises:
        FileNotFoundError: Neither a file nor a shipped name; the message lists those.
    """
    shipped = files("eddyline.schemas") / "channels"
    if (inside := shipped / f"{name_or_path}.avsc").is_file():
        return inside.read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        names = sorted(entry.name.removesuffix(".avsc") for entry in shipped.iterdir())
        raise FileNotFoundError(f"no schema file {name_or_path!r}; shipped: {', '.join(names)}")
    return path.read_text(encoding="utf-8")
