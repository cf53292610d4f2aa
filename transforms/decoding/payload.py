"""A message's payload into typed rows: JSON or Avro, plain or gzip, one reading or many."""

import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from eddyline.schemas.record import Contract
from eddyline.transforms.decoding.avro_container import AVRO_ERRORS, MAGIC, AvroContainer
from eddyline.transforms.decoding.event_time import TimeBounds, to_micros
from eddyline.transforms.decoding.reject import Refused, Reject, reject
from eddyline.transforms.decoding.relevance import DropRule, first_rule
from eddyline.transforms.decoding.typed_row import typed_row


class NotPlain(ValueError):
    """It needs more than one step; nothing is wrong with it yet."""


ROW_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused, NotPlain)
MAX_READINGS = 10_000
"""Most readings in one payload: each of them can become a row of its own."""
_GZIP = b"\x1f\x8b"
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+").fullmatch


class Row(msgspec.Struct, gc=False):
    """A valid reading.

    Args:
        device_id: The device.
        event_time: Microseconds since the epoch.
        typed: The typed row with its other fields.
        attributes: JSON text of the fields that the schema does not declare, as they came.
    """

    device_id: str
    event_time: int
    typed: Any
    attributes: str | None = None


class Dropped(NamedTuple):
    """A reading that a drop rule dropped."""

    rule: str


Parsed = Row | Reject | Dropped


class PayloadParser:
    """Parse payloads into rows; what cannot be parsed says why.

    Guarantee: any bytes give at least one result, one for each reading that the payload holds, and
    never an exception. A payload of many readings loses only the bad ones; one whose frame is
    broken, or that holds more than `MAX_READINGS`, is refused whole. Memory is bounded by
    `max_bytes`, also for what is compressed.

    Args:
        contract: The declared channels and names.
        rules: Drop rules, first match wins.
        bounds: Which event times are believed.
        max_bytes: Largest payload, before and after decompression.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> parser = PayloadParser(load_contract("room"))
        >>> [parsed] = parser.parse(b'{"device_id": "a", "temperature": 99}', {}, arrival_time=0)
        >>> parsed.reason, parsed.path
        ('out_of_range', '$.temperature')
    """

    def __init__(
        self,
        contract: Contract,
        rules: Sequence[DropRule] = (),
        bounds: TimeBounds | None = None,
        max_bytes: int = 2**20,
    ) -> None:
        self.rules = tuple(rules)
        self.bounds = bounds or TimeBounds()
        self.max_bytes = max_bytes
        kind = typed_row(contract)
        declared = msgspec.defstruct(
            "DeclaredRow", [], bases=(kind,), forbid_unknown_fields=True, gc=False
        )
        self._names = frozenset(kind.__struct_fields__)
        self._device_names = contract.names_of("device_id")
        self._time_names = contract.names_of("event_time")
        self._device = attrgetter(self._device_names[0])
        self._time = attrgetter(self._time_names[0])
        self._declared = msgspec.json.Decoder(declared).decode
        self._typed = msgspec.json.Decoder(kind).decode
        self._many = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def plain(self, payload: bytes, attributes: Mapping[str, str], arrival_time: int) -> Row:
        """The common case in one step: one JSON reading of declared fields that no rule drops.

        Raises:
            ROW_ERRORS: It is something else, or invalid: `parse` tells which.
        """
        if len(payload) > self.max_bytes:
            raise NotPlain
        row = self._checked(self._declared(payload), arrival_time)
        if self.rules and first_rule(self.rules, row.device_id, attributes.get("type", "")):
            raise NotPlain
        return row

    def parse(
        self, payload: bytes, attributes: Mapping[str, str], arrival_time: int
    ) -> Iterator[Parsed]:
        """Every reading of one payload, in its order."""
        message = _Message(payload, attributes, arrival_time)
        for parsed in self._parsed(message):
            if self.rules and isinstance(parsed, Reject):
                # Nobody wants this type of message, whatever is wrong with it.
                rule = first_rule(self.rules, "", message.kind)
                yield Dropped(rule) if rule else parsed
            else:
                yield parsed

    def _parsed(self, message: "_Message") -> Iterator[Parsed]:
        body = self._unpacked(message.payload)
        if isinstance(body, Reject):
            yield body
        elif body.startswith(MAGIC):
            yield from self._avro(body, message)
        elif body.lstrip()[:1] == b"[":
            yield from self._json_array(body, message)
        elif not body.strip():
            yield Reject("empty", None, "no bytes but white space", message.payload)
        else:
            yield self._json_object(body, message)

    def _checked(self, typed: Any, arrival_time: int, attributes: str | None = None) -> Row:
        """The row, or `Refused` where its device or event time cannot be believed."""
        device = self._device(typed)
        if device is UNSET:
            device = _first_sent(typed, self._device_names)
        if not device.isprintable() and not _PRINTABLE(device):
            path = _path(typed, self._device_names)
            raise Refused("bad_device_id", path, "control characters")
        sent = self._time(typed)
        if sent is UNSET:
            sent = _first_sent(typed, self._time_names)
        try:
            event_time = to_micros(sent)
        except ValueError as error:
            path = _path(typed, self._time_names)
            raise Refused("bad_event_time", path, str(error)) from error
        if problem := self.bounds.problem(event_time, arrival_time):
            raise Refused(problem, _path(typed, self._time_names), str(sent))
        return Row(device, event_time, typed, attributes)

    def _unpacked(self, payload: bytes) -> bytes | Reject:
        if len(payload) > self.max_bytes:
            return Reject("too_large", None, f"{len(payload)} bytes", payload)
        return self._gunzip(payload) if payload.startswith(_GZIP) else payload

    def _gunzip(self, payload: bytes) -> bytes | Reject:
        stream = zlib.decompressobj(wbits=31)
        try:
            body = stream.decompress(payload, self.max_bytes + 1)
        except zlib.error as error:
            return Reject("bad_gzip", None, str(error), payload)
        if len(body) > self.max_bytes:
            return Reject("too_large", None, f"over {self.max_bytes} bytes unpacked", payload)
        if not stream.eof or stream.unused_data:
            return Reject("bad_gzip", None, "truncated, or followed by other bytes", payload)
        return body

    def _json_array(self, body: bytes, message: "_Message") -> Iterator[Parsed]:
        try:
            entries = self._many(body)
        except ROW_ERRORS as error:
            yield reject(error, message.payload)
            return
        if refused := _refused_number(len(entries), message.payload):
            yield refused
            return
        for entry in entries:
            own = bytes(entry)
            try:
                yield self.plain(own, message.attributes, message.arrival_time)
            except ROW_ERRORS:
                yield self._json_object(own, message._replace(payload=own))

    def _json_object(self, body: bytes, message: "_Message") -> Parsed:
        """One reading; `message.payload` is what a dead letter of it keeps."""
        try:
            fields = self._fields(body)
            if rule := self._rule(fields, message.kind):
                return Dropped(rule)
            extra = {name: raw for name, raw in fields.items() if name not in self._names}
            return self._checked(
                self._typed(body),
                message.arrival_time,
                msgspec.json.encode(extra).decode() if extra else None,
            )
        except ROW_ERRORS as error:
            return reject(error, message.payload)

    def _rule(self, fields: Mapping[str, msgspec.Raw], kind: str) -> str | None:
        if not self.rules:
            return None
        device = next((_text(fields[n]) for n in self._device_names if n in fields), "")
        return first_rule(self.rules, device, kind or _text(fields.get("type", b'""')))

    def _avro(self, body: bytes, message: "_Message") -> Iterator[Parsed]:
        try:
            container = AvroContainer(body)
            records = list(islice(container.records(), MAX_READINGS + 1))
        except AVRO_ERRORS as error:
            yield _bad_avro(error, message.payload)
            return
        if refused := _refused_number(len(records), message.payload):
            yield refused
            return
        for record in records:
            own = message._replace(payload=container.only(record))
            try:
                yield self._avro_record(container.read(record), own)
            except AVRO_ERRORS as error:
                yield _bad_avro(error, own.payload)

    def _avro_record(self, fields: Mapping[str, Any], message: "_Message") -> Parsed:
        for name, value in fields.items():
            if isinstance(value, float) and not math.isfinite(value):
                return Reject("out_of_range", f"$.{name}", f"{value}", message.payload)
        return self._json_object(msgspec.json.encode(fields), message)


class _Message(NamedTuple):
    payload: bytes
    attributes: Mapping[str, str]
    arrival_time: int

    @property
    def kind(self) -> str:
        return self.attributes.get("type", "")


def _first_sent(typed: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(typed, name)
        if value is not UNSET:
            return value
    raise Refused("missing_field", f"$.{names[0]}", f"none of {', '.join(names)} was sent")


def _path(typed: Any, names: tuple[str, ...]) -> str:
    """The path of the field that `_first_sent` gives."""
    return next(f"$.{name}" for name in names if getattr(typed, name) is not UNSET)


def _refused_number(readings: int, payload: bytes) -> Reject | None:
    if not readings:
        return Reject("empty", None, "a list of no readings", payload)
    if readings > MAX_READINGS:
        return Reject("too_many", None, f"more than {MAX_READINGS} readings", payload)
    return None


def _bad_avro(error: Exception, payload: bytes) -> Reject:
    if isinstance(error, UnicodeDecodeError):
        return reject(error, payload)
    return Reject("bad_avro", None, f"{type(error).__name__}: {error}"[:500], payload)


def _text(raw: bytes | msgspec.Raw) -> str:
    try:
        value = msgspec.json.decode(raw)
    except ROW_ERRORS:
        return ""
    return value if isinstance(value, str) else ""
