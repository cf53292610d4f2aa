"""A message's payload into typed rows: JSON or Avro, plain or gzip, one reading or many."""

import io
import math
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fastavro
import msgspec
from msgspec import UNSET

from eddyline.schemas.record import Contract
from eddyline.transforms.event_time import TimeBounds, to_micros
from eddyline.transforms.reject import Refused, Reject, reject
from eddyline.transforms.relevance import DropRule, first_rule
from eddyline.transforms.typed_row import typed_row

ROW_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused)
# What fastavro raises on bytes that are not what they say, found by fuzzing it.
AVRO_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_GZIP = b"\x1f\x8b"
_AVRO = b"Obj\x01"
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+").fullmatch


class Row(NamedTuple):
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
    never an exception. A payload of many readings loses only the bad ones. Memory is bounded by
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
        self._names = frozenset(kind.__struct_fields__)
        self._device_names = contract.names_of("device_id")
        self._time_names = contract.names_of("event_time")
        self._typed = msgspec.json.Decoder(kind).decode
        self._many = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def plain(self, payload: bytes, arrival_time: int) -> Row:
        """The common case in one step: one JSON reading of declared fields, no drop rules.

        Raises:
            ROW_ERRORS: It is something else, or invalid: `parse` tells which.
        """
        if self.rules or len(payload) > self.max_bytes:
            raise Refused("not_plain", None, "")
        return self._checked(self._typed(payload), arrival_time, None)

    def parse(
        self, payload: bytes, attributes: Mapping[str, str], arrival_time: int
    ) -> Iterator[Parsed]:
        """Every reading of one payload, in its order."""
        body = self._unpacked(payload)
        if isinstance(body, Reject):
            yield body
            return
        message = _Message(payload, attributes.get("type", ""), arrival_time)
        if body.startswith(_AVRO):
            yield from self._avro(body, message)
        elif body.lstrip()[:1] == b"[":
            yield from self._json_array(body, message)
        elif not body.strip():
            yield Reject("empty", None, "no bytes but white space", payload)
        else:
            yield self._json_object(body, message)

    def _checked(self, typed: Any, arrival_time: int, attributes: str | None) -> Row:
        """The row, or `Refused` where its device or event time cannot be believed."""
        device = _first(typed, self._device_names)
        if not _PRINTABLE(device):
            raise Refused("bad_device_id", f"$.{self._device_names[0]}", "control characters")
        sent = _first(typed, self._time_names)
        try:
            event_time = to_micros(sent)
        except ValueError as error:
            raise Refused("bad_event_time", f"$.{self._time_names[0]}", str(error)) from error
        if problem := self.bounds.problem(event_time, arrival_time):
            raise Refused(problem, f"$.{self._time_names[0]}", str(sent))
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
        if not entries:
            yield Reject("empty", None, "an array of no readings", message.payload)
        for entry in entries:
            raw = bytes(entry)
            yield self._json_object(raw, message._replace(payload=raw))

    def _json_object(self, body: bytes, message: "_Message") -> Parsed:
        """One reading; `message.payload` is what a dead letter of it keeps."""
        try:
            if not self.rules:
                try:
                    return self._checked(self._typed(body), message.arrival_time, None)
                except msgspec.ValidationError as error:
                    if not _has_unknown_field(error):
                        raise
            fields = self._fields(body)
            if rule := self._rule(fields, message.kind):
                return Dropped(rule)
            extra = {name: raw for name, raw in fields.items() if name not in self._names}
            known = {name: raw for name, raw in fields.items() if name in self._names}
            return self._checked(
                self._typed(_json_text(known)),
                message.arrival_time,
                _json_text(extra).decode() if extra else None,
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
            reader = fastavro.reader(io.BytesIO(body))
            if reader.codec != "null":
                raise ValueError(f"codec {reader.codec!r}: only null is read, to bound memory")
            entries = list(reader)
        except AVRO_ERRORS as error:
            yield _bad_avro(error, message.payload)
            return
        if not entries:
            yield Reject("empty", None, "a container of no readings", message.payload)
        for entry in entries:
            try:
                own = _container(reader.writer_schema, entry)
                yield self._avro_record(entry, message._replace(payload=own))
            except AVRO_ERRORS as error:
                yield _bad_avro(error, message.payload)

    def _avro_record(self, entry: Any, message: "_Message") -> Parsed:
        if not isinstance(entry, dict):
            return Reject("wrong_type", "$", "the Avro schema is not a record", message.payload)
        for name, value in entry.items():
            if isinstance(value, float) and not math.isfinite(value):
                return Reject("out_of_range", f"$.{name}", f"{value}", message.payload)
        return self._json_object(msgspec.json.encode(entry), message)


class _Message(NamedTuple):
    payload: bytes
    kind: str
    arrival_time: int


def _first(typed: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(typed, name)
        if value is not UNSET:
            return value
    raise Refused("missing_field", f"$.{names[0]}", f"none of {', '.join(names)} was sent")


def _bad_avro(error: Exception, payload: bytes) -> Reject:
    return Reject("bad_avro", None, f"{type(error).__name__}: {error}"[:500], payload)


def _has_unknown_field(error: msgspec.ValidationError) -> bool:
    return "unknown field" in str(error)


def _json_text(fields: Mapping[str, msgspec.Raw]) -> bytes:
    members = (msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in fields.items())
    return b"{" + b",".join(members) + b"}"


def _text(raw: bytes | msgspec.Raw) -> str:
    try:
        value = msgspec.json.decode(raw)
    except ROW_ERRORS:
        return ""
    return value if isinstance(value, str) else ""


def _container(schema: Any, entry: Any) -> bytes:
    """The one record as a container of its own: what a dead letter keeps and a replay reads."""
    sink = io.BytesIO()
    fastavro.writer(sink, schema, [entry])
    return sink.getvalue()
