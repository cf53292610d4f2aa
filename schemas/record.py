"""The records of the contract, read from the `.avsc` files and filled with the user's channels."""

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from eddyline.schemas.channel import (
    Channel,
    ChannelFile,
    channel_file_text,
    read_channel_file,
)

RecordName = Literal[
    "message",
    "reading",
    "minute",
    "anomaly",
    "incident",
    "delivery",
    "dead_letter",
    "device",
    "device_state",
]
FieldType = Literal["string", "bytes", "long", "double", "boolean", "timestamp", "strings", "map"]

RECORD_NAMES: tuple[RecordName, ...] = get_args(RecordName)
PARTITION = "event_date"
"""The column that the lake derives from a table's time and partitions by."""
SENT_FIELDS = ("device_id", "event_time", "message_id", "firmware")
"""The standard fields that a device sends; eddyline fills in the others."""


@dataclass(frozen=True)
class Field:
    """A field of a record: its name, type, whether it may be missing, and its words.

    `minimum` and `maximum` bound what can be stored; None where nothing is promised. `default` is
    its Avro default: None where a field that may not be missing has none.
    """

    name: str
    type: FieldType
    nullable: bool = False
    doc: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: Any = dataclasses.field(default=None, hash=False)


@dataclass(frozen=True)
class Record:
    """A record of the contract with its fields in order."""

    name: RecordName
    doc: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Contract:
    """Every record for one set of channels.

    Example:
        >>> contract = load_contract("room")
        >>> [channel.name for channel in contract.channels]
        ['temperature', 'humidity', 'pressure']
        >>> [field.name for field in contract.record("minute").fields][-3:]
        ['pressure_std', 'pressure_first', 'pressure_last']
    """

    name: str
    channels: tuple[Channel, ...]
    aliases: tuple[tuple[str, tuple[str, ...]], ...]

    def record(self, name: RecordName) -> Record:
        """The record of that name, its per-channel fields written out for every channel."""
        parsed = _avsc(name)
        fields: list[Field] = []
        seen_per_channel = False
        for entry in parsed["fields"]:
            if "per_channel" not in entry:
                fields.append(_field(entry))
            elif not seen_per_channel:
                seen_per_channel = True
                templates = [e for e in parsed["fields"] if "per_channel" in e]
                fields += [_fill(e, c) for c in self.channels for e in templates]
        return Record(name, parsed["doc"], tuple(fields))

    def names_of(self, standard_field: str) -> tuple[str, ...]:
        """Names under which a standard field may be sent, its own first."""
        given = dict(self.aliases).get(standard_field)
        if given is None:
            entry = next(e for e in _avsc("reading")["fields"] if e["name"] == standard_field)
            given = tuple(entry.get("aliases", ()))
        taken = {channel.name for channel in self.channels}
        return (standard_field, *(name for name in given if name not in taken))


def load_contract(schema: str = "room") -> Contract:
    """The contract for a schema file, given by its path or by a shipped name.

    Raises:
        ValueError: The file declares something wrong; the message begins with the file's name.
        FileNotFoundError: There is no such file.
    """
    try:
        file = read_channel_file(channel_file_text(schema), standard_fields())
        return contract_of(file)
    except ValueError as error:
        raise ValueError(f"{schema}: {error}") from error


def contract_of(file: ChannelFile) -> Contract:
    """The contract for channels that were read already.

    Raises:
        ValueError: A channel's columns would collide with another column, or a name under which a
            field is sent could mean two fields.
    """
    contract = Contract(file.name, file.channels, tuple(sorted(file.aliases.items())))
    if idle := sorted(set(file.aliases) - set(SENT_FIELDS)):
        raise ValueError(f"aliases of a field that no device sends: {', '.join(idle)}")
    sent = [name for field in SENT_FIELDS for name in contract.names_of(field)]
    if twice := sorted({name for name in sent if sent.count(name) > 1}):
        raise ValueError(f"an alias takes the name of another field: {', '.join(twice)}")
    for name in ("reading", "minute"):
        names = [PARTITION, *(field.name for field in contract.record(name).fields)]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"a channel takes the name of another column: {', '.join(twice)}")
    return contract


@cache
def standard_fields() -> frozenset[str]:
    """Names of a reading's fields that are not channels."""
    return frozenset(e["name"] for e in _avsc("reading")["fields"] if "per_channel" not in e)


@cache
def _avsc(name: RecordName) -> dict[str, Any]:
    return json.loads((files("eddyline.schemas") / f"{name}.avsc").read_text(encoding="utf-8"))


def _fill(entry: dict[str, Any], channel: Channel) -> Field:
    pattern = str(entry["per_channel"])
    filled = _field({**entry, "name": pattern.format(channel=channel.name)})
    if pattern != "{channel}":
        return filled
    # What the schema file keeps may be stored at any value, so no limit is promised for it.
    bounded = channel.kind != "boolean" and not channel.keep
    return Field(
        filled.name,
        channel.kind,
        nullable=True,
        doc=channel.doc or filled.doc,
        unit=channel.unit,
        minimum=channel.minimum if bounded else None,
        maximum=channel.maximum if bounded else None,
    )


def _field(entry: dict[str, Any]) -> Field:
    avro: Any = entry["type"]
    nullable = isinstance(avro, list)
    if nullable:
        avro = next(branch for branch in avro if branch != "null")
    kind: FieldType
    match avro:
        case {"type": "long", "logicalType": "timestamp-micros"}:
            kind = "timestamp"
        case {"type": "map", "values": "string"}:
            kind = "map"
        case {"type": "array", "items": "string"}:
            kind = "strings"
        case "string" | "bytes" | "long" | "double" | "boolean":
            kind = avro
        case _:
            raise ValueError(f"field {entry['name']!r}: no dialect for the type {avro!r}")
    return Field(
        entry["name"],
        kind,
        nullable,
        entry.get("doc", ""),
        entry.get("unit", ""),
        entry.get("minimum"),
        entry.get("maximum"),
        entry.get("default"),
    )
