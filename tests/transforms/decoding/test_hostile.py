"""Hostile messages: each costs itself only, is told why, and nothing that is stored is wrong."""

import gzip
import io
import json
import math
import random
import re
from pathlib import Path
from typing import NamedTuple, get_args

import fastavro
import pyarrow as pa
import pytest

from eddyline.schemas.message import Message, message_batch
from eddyline.schemas.record import load_contract
from eddyline.schemas.unreadable import Why, mark
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import MAX_READINGS, PayloadParser
from eddyline.transforms.decoding.reject import Reason
from eddyline.transforms.decoding.relevance import DropRule

ARRIVAL = 1_767_312_000_000_000  # 2026-01-02T00:00:00Z
NOW = 1_767_311_999
TIME = '"2026-01-01T23:59:59Z"'
RULES = (DropRule("tests", device="test-*"), DropRule("beats", type="heartbeat"))
MIB = 2**20


class Case(NamedTuple):
    """A payload and what becomes of it: readings, (reason, path) of dead letters, filtered."""

    name: str
    payload: bytes
    readings: int = 0
    dead: tuple = ()
    filtered: int = 0
    attributes: dict | None = None
    kept: tuple | None = None  # what the dead letters hold; None: each holds the payload
    rules: tuple = ()


def dead(name, payload, reason, path=None, **more):
    return Case(name, payload, dead=((reason, path),), **more)


def good(name, payload, readings=1, **more):
    return Case(name, payload, readings=readings, **more)


def reading(device='"a"', event_time=TIME, **others):
    """The JSON text of a reading, its members given as JSON text."""
    members = {"device_id": device, "event_time": event_time, **others}
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"


def sent(device='"a"', event_time=TIME, **others):
    return reading(device, event_time, **others).encode()


def raw(before, inside, after):
    return before.encode() + inside + after.encode()


def nest(depth):
    return "[" * depth + "]" * depth


# --- Avro, also such as no writer would write -------------------------------------------------


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number & ~0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def avro_head(schema, codec=b"null"):
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    meta = (b"avro.schema", text), (b"avro.codec", codec)
    pairs = b"".join(varint(len(k)) + k + varint(len(v)) + v for k, v in meta)
    return b"Obj\x01" + varint(2) + pairs + varint(0) + b"S" * 16


def avro_block(data, count=1, size=None):
    return varint(count) + varint(len(data) if size is None else size) + data + b"S" * 16


def avro_of(schema, data, count=1, size=None):
    return avro_head(schema) + avro_block(data, count, size)


def record_of(*fields, name="r"):
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": field, "type": kind} for field, kind in fields],
    }


def avro(*readings, codec="null", **types):
    """A container, as fastavro writes it."""
    kinds = {"device_id": "string", "event_time": "long", "temperature": ["null", "double"]}
    sink = io.BytesIO()
    fastavro.writer(
        sink, record_of(*{**kinds, **types}.items()), readings, codec=codec, sync_marker=b"S" * 16
    )
    return sink.getvalue()


def one(device="a", event_time=NOW, temperature=20.0, **others):
    return {"device_id": device, "event_time": event_time, "temperature": temperature, **others}


DOUBLING = record_of(
    ("a0", record_of(("x", "null"), name="r0")),
    *((f"a{n}", record_of(("x", f"r{n - 1}"), ("y", f"r{n - 1}"), name=f"r{n}"))
      for n in range(1, 30)),
)  # fmt: skip
CUT_AVRO = avro(one(), one(device="b"))[:-20]
BAD_AVRO = "bad_avro"

JSON_CASES = [
    # not JSON
    dead(
        "a file that breaks off here",
        sent('"cut"'),
        "damaged_file",
        attributes=mark("damaged_file", "truncated gzip"),
    ),
    dead("a row that is no row", b"1,2", "bad_row", attributes=mark("bad_row", "2 fields")),
    dead(
        "a mark of nobody's",
        sent('"cut"'),
        "damaged_file",
        attributes={"eddyline-unreadable": "because"},
    ),
    dead("no bytes", b"", "empty"),
    dead("white space", b" \r\n\t ", "empty"),
    dead("random bytes", random.Random(1).randbytes(300), "malformed"),
    dead("NUL bytes", bytes(64), "malformed"),
    dead("text", b"temperature=21.5", "malformed"),
    dead("html", b"<html><body>502 Bad Gateway</body></html>", "malformed"),
    dead("truncated in a text", sent()[:14], "malformed"),
    dead("truncated at the end", sent(temperature="20")[:-1], "malformed"),
    dead("truncated in an undeclared field", sent(x='"y"')[:-3], "malformed"),
    dead("truncated behind a wrong value", sent(temperature='"x"')[:-1], "malformed"),
    dead("single quotes", sent().replace(b'"', b"'"), "malformed"),
    dead("trailing comma", sent()[:-1] + b",}", "malformed"),
    dead("two objects", sent() + sent(), "malformed"),
    dead("bytes behind", sent() + b"x", "malformed"),
    dead("comment", sent()[:-1] + b"/* c */}", "malformed"),
    dead("byte order mark", b"\xef\xbb\xbf" + sent(), "malformed"),
    dead("UTF-16", sent().decode().encode("utf-16"), "malformed"),
    good("white space around", b" \r\n" + sent() + b"\r\n "),
    # no object
    dead("null", b"null", "wrong_type", "$"),
    dead("number", b"5", "wrong_type", "$"),
    dead("text as JSON", b'"ok"', "wrong_type", "$"),
    dead("true", b"true", "wrong_type", "$"),
    dead("empty object", b"{}", "missing_field", "$.device_id"),
    dead("reading in a field", b'{"reading":' + sent() + b"}", "missing_field", "$.device_id"),
    # nesting
    dead("100,000 deep", b"[" * 100_000, "too_deep"),
    dead("100,000 deep objects", b'{"a":' * 100_000, "too_deep"),
    dead("100,000 deep, undeclared", sent(x=nest(100_000)), "too_deep"),
    dead("100,000 deep, declared", sent(temperature=nest(100_000)), "too_deep"),
    dead("100,000 deep, not closed", sent(x="[" * 100_000), "too_deep"),
    good("100 deep, undeclared", sent(x=nest(100))),
    dead("100 deep, declared", sent(temperature=nest(100)), "wrong_type", "$.temperature"),
    # numbers
    dead("1e999", sent(temperature="1e999"), "out_of_range", "$.temperature"),
    dead("-1e999", sent(temperature="-1e999"), "out_of_range", "$.temperature"),
    dead("40 digits", sent(temperature="9" * 40), "out_of_range", "$.temperature"),
    dead("400 digits", sent(temperature="9" * 400), "out_of_range", "$.temperature"),
    dead("100,000 digits", sent(temperature="9" * 100_000), "out_of_range", "$.temperature"),
    dead("too warm", sent(temperature="85.00000000000002"), "out_of_range", "$.temperature"),
    dead("too cold", sent(temperature="-40.1"), "out_of_range", "$.temperature"),
    good("at the limits", sent(temperature="85", humidity="0", pressure="1100.0")),
    good("a tiny number", sent(temperature="1e-400")),
    good("minus zero", sent(temperature="-0.0")),
    dead("NaN", sent(temperature="NaN"), "malformed"),
    dead("Infinity", sent(temperature="Infinity"), "malformed"),
    dead("-Infinity", sent(temperature="-Infinity"), "malformed"),
    dead("NaN, undeclared", sent(x="NaN"), "malformed"),
    dead("hexadecimal", sent(temperature="0x14"), "malformed"),
    dead("leading zero", sent(temperature="020"), "malformed"),
    dead("decimal comma", sent(temperature="20,5"), "malformed"),
    good("1e999, undeclared", sent(x="1e999")),
    # wrong types
    dead("text for a number", sent(temperature='"20"'), "wrong_type", "$.temperature"),
    dead("boolean for a number", sent(temperature="true"), "wrong_type", "$.temperature"),
    dead("list for a number", sent(temperature="[20]"), "wrong_type", "$.temperature"),
    dead("object for a number", sent(temperature='{"v":20}'), "wrong_type", "$.temperature"),
    good("null for a number", sent(temperature="null", humidity="null")),
    dead("number for a device", sent("17"), "wrong_type", "$.device_id"),
    dead("list for a device", sent('["a"]'), "wrong_type", "$.device_id"),
    dead("null for a device", sent("null"), "wrong_type", "$.device_id"),
    dead("boolean for a time", sent(event_time="true"), "wrong_type", "$.event_time"),
    dead("list for a time", sent(event_time="[1]"), "wrong_type", "$.event_time"),
    dead("null for a time", sent(event_time="null"), "wrong_type", "$.event_time"),
    dead("fraction for a message id", sent(message_id="1.5"), "wrong_type", "$.message_id"),
    dead("boolean for a message id", sent(message_id="true"), "wrong_type", "$.message_id"),
    dead("list for a message id", sent(message_id="[]"), "wrong_type", "$.message_id"),
    dead("number for a firmware", sent(firmware="2"), "wrong_type", "$.firmware"),
    good("null for optional fields", sent(message_id="null", firmware="null")),
    good("40 digits for a message id", sent(message_id="9" * 40)),
    dead("5,000 digits for a message id", sent(message_id="9" * 5000),
         "out_of_range", "$.message_id"),
    dead("257 characters of message id", sent(message_id='"%s"' % ("m" * 257)),
         "wrong_length", "$.message_id"),
    dead("257 characters of firmware", sent(firmware='"%s"' % ("f" * 257)),
         "wrong_length", "$.firmware"),
    # keys
    good("the last of equal keys counts", sent(temperature='20,"temperature":21')),
    dead("equal keys, the first wrong", sent(temperature='"x","temperature":21'),
         "wrong_type", "$.temperature"),
    dead("equal keys, the last wrong", sent(temperature='21,"temperature":"x"'),
         "wrong_type", "$.temperature"),
    dead("equal keys, one wrong, one undeclared", sent(x="1", temperature='"x","temperature":21'),
         "wrong_type", "$.temperature"),
    good("equal keys, undeclared", sent(x='1,"x":2')),
    good("a key of many characters", raw('{"', b"k" * 100_000, '":1,' + reading()[1:])),
    good("an empty key", raw('{"', b"", '":1,' + reading()[1:])),
    dead("a key without a value", b'{"device_id"}', "malformed"),
    dead("a number for a key", b'{1:"a"}', "malformed"),
    # characters
    dead("invalid UTF-8 in a key", raw('{"', b"\xff\xfe", '":1,' + reading()[1:]), "not_utf8"),
    dead("invalid UTF-8 in a device", raw('{"device_id":"', b"a\xff", '"}'), "not_utf8"),
    dead("invalid UTF-8 in an undeclared field", raw('{"x":"', b"\xff", '",' + reading()[1:]),
         "not_utf8"),
    dead("a surrogate in UTF-8", raw('{"device_id":"', b"\xed\xa0\x80", '"}'), "not_utf8"),
    dead("overlong UTF-8", raw('{"device_id":"', b"\xc0\x80", '"}'), "not_utf8"),
    dead("a lone surrogate", sent(r'"a\ud800"'), "malformed"),
    dead("a lone low surrogate", sent(r'"a\udc00"'), "malformed"),
    dead("a lone surrogate, undeclared", sent(x=r'"\ud800"'), "malformed"),
    dead("a lone surrogate in a key", raw(r'{"\ud800', b"", '":1,' + reading()[1:]), "malformed"),
    good("a pair of surrogates", sent(r'"\ud83d\ude00"')),
    dead("a NUL in a device", sent(r'"a\u0000"'), "bad_device_id", "$.device_id"),
    dead("a bare NUL in a device", sent('"a\0"'), "malformed"),
    good("a NUL in an undeclared field", sent(x=r'"\u0000"')),
    dead("an escape that is none", sent(r'"\q"'), "malformed"),
    # devices
    dead("no device", b'{"event_time":%s}' % TIME.encode(), "missing_field", "$.device_id"),
    dead("an empty device", sent('""'), "wrong_length", "$.device_id"),
    good("256 characters of device", sent('"%s"' % ("d" * 256))),
    good("256 characters of three bytes", sent('"%s"' % ("水" * 256))),
    dead("257 characters of device", sent('"%s"' % ("d" * 257)), "wrong_length", "$.device_id"),
    dead("10 kB of device", sent('"%s"' % ("d" * 10_000)), "wrong_length", "$.device_id"),
    good("a path for a device", sent('"../../etc/passwd"')),
    good("a partition for a device", sent('"a/b=c"')),
    good("an apostrophe in a device", sent("\"'; DROP TABLE readings; --\"")),
    good("a device of blanks", sent('" "')),
    good("a device with a joined emoji", sent('"👩\u200d🔬"')),
    dead("a newline in a device", sent(r'"a\nb"'), "bad_device_id", "$.device_id"),
    dead("a delete in a device", sent('"a\x7f"'), "bad_device_id", "$.device_id"),
    dead("a C1 control in a device", sent('"a\x85"'), "bad_device_id", "$.device_id"),
    dead("a control in a device's other name", sent(r'"a","device":"b\t"').replace(
        b'"device_id":"a",', b""), "bad_device_id", "$.device"),
    good("both names of a device, the first counts", sent('"a","device":"b"')),
    # times
    dead("no time", b'{"device_id":"a"}', "missing_field", "$.event_time"),
    dead("a time without a zone", sent(event_time='"2026-01-01T23:59:59"'),
         "bad_event_time", "$.event_time"),
    dead("a leap second", sent(event_time='"2016-12-31T23:59:60Z"'),
         "bad_event_time", "$.event_time"),
    dead("30 February", sent(event_time='"2026-02-30T00:00:00Z"'),
         "bad_event_time", "$.event_time"),
    dead("hour 24", sent(event_time='"2026-01-01T24:00:00Z"'), "bad_event_time", "$.event_time"),
    dead("a date", sent(event_time='"2026-01-01"'), "bad_event_time", "$.event_time"),
    dead("words for a time", sent(event_time='"yesterday"'), "bad_event_time", "$.event_time"),
    dead("empty text for a time", sent(event_time='""'), "bad_event_time", "$.event_time"),
    dead("digits as text", sent(event_time=f'"{NOW}"'), "bad_event_time", "$.event_time"),
    dead("year 0", sent(event_time='"0000-01-01T00:00:00Z"'), "bad_event_time", "$.event_time"),
    dead("year 1", sent(event_time='"0001-01-01T00:00:00+14:00"'),
         "event_time_past", "$.event_time"),
    dead("year 9999", sent(event_time='"9999-12-31T23:59:59-14:00"'),
         "event_time_future", "$.event_time"),
    dead("year 10000", sent(event_time='"9999-12-31T23:59:59.9999999Z"'),
         "bad_event_time", "$.event_time"),
    dead("year 1989", sent(event_time='"1989-12-31T23:59:59Z"'),
         "event_time_past", "$.event_time"),
    dead("too far ahead", sent(event_time='"2026-01-02T01:00:01Z"'),
         "event_time_future", "$.event_time"),
    good("an hour ahead", sent(event_time='"2026-01-02T01:00:00Z"')),
    good("another zone", sent(event_time='"2026-01-02T05:29:59+05:30"')),
    good("nanoseconds as text", sent(event_time='"2026-01-01T23:59:59.123456789Z"')),
    good("seconds", sent(event_time=f"{NOW}")),
    good("seconds with a fraction", sent(event_time=f"{NOW}.25")),
    good("milliseconds", sent(event_time=f"{NOW}250")),
    good("microseconds", sent(event_time=f"{NOW}250000")),
    dead("nanoseconds", sent(event_time=f"{NOW}250000000"), "bad_event_time", "$.event_time"),
    dead("epoch 0", sent(event_time="0"), "bad_event_time", "$.event_time"),
    dead("a negative time", sent(event_time="-86400000"), "bad_event_time", "$.event_time"),
    dead("a time of 40 digits", sent(event_time="9" * 40), "bad_event_time", "$.event_time"),
    dead("a time of 5,000 digits", sent(event_time="9" * 5000), "out_of_range", "$.event_time"),
    dead("a time of 1e999", sent(event_time="1e999"), "out_of_range", "$.event_time"),
    dead("a bad time by another name", sent(event_time='"x"').replace(b"event_time", b"ts"),
         "bad_event_time", "$.ts"),
    dead("an early time by another name", sent(event_time="1e8").replace(b"event_time", b"ts"),
         "event_time_past", "$.ts"),
    # arrays
    good("an array", b"[%s, %s]" % (sent(), sent(temperature="20")), readings=2),
    dead("an empty array", b"[]", "empty"),
    dead("an array of blanks", b" [ \n] ", "empty"),
    Case("an array of many kinds",
         b"[%s,null,17,{},%s,[%s],%s]" % (sent(x="1"), sent(temperature='"x"'), sent(), sent()),
         readings=2,
         dead=(("wrong_type", "$"), ("wrong_type", "$"), ("missing_field", "$.device_id"),
               ("wrong_type", "$.temperature"), ("wrong_type", "$")),
         kept=(b"null", b"17", b"{}", sent(temperature='"x"'), b"[%s]" % sent())),
    Case("invalid UTF-8 in one entry", b'[{"x":"\xff"},%s]' % sent(), readings=1,
         dead=(("not_utf8", None),), kept=(b'{"x":"\xff"}',)),
    good("nesting in one entry", b"[%s,%s]" % (sent(x=nest(300)), sent()), readings=2),
    dead("100,000 deep in one entry", b"[%s,%s]" % (sent(x=nest(100_000)), sent()), "too_deep"),
    dead("a truncated array", b"[%s,%s" % (sent(), sent()), "malformed"),
    dead("an array with a broken entry", b"[%s,{]" % sent(), "malformed"),
    dead("an array with a comma at its end", b"[%s,]" % sent(), "malformed"),
    good("as many readings as are taken", b"[%s]" % b",".join([sent()] * MAX_READINGS),
         readings=MAX_READINGS),
    dead("too many readings", b"[%s]" % b",".join([b"1"] * (MAX_READINGS + 1)), "too_many"),
    dead("100,000 empty objects", b"[%s]" % b",".join([b"{}"] * 100_000), "too_many"),
    # size
    good("1 MiB", sent(x='"%s"' % ("y" * (MIB - len(sent(x='""')))))),
    dead("1 MiB and a byte", sent(x='"%s"' % ("y" * (MIB + 1 - len(sent(x='""'))))), "too_large"),
    dead("10 MB of text", sent(x='"%s"' % ("y" * 10_000_000)), "too_large"),
    dead("a reading in 10 MB of blanks", sent() + b" " * 10_000_000, "too_large"),
    dead("10 MB of nothing", b" " * 10_000_000, "too_large"),
    dead("10 MB of noise", random.Random(2).randbytes(10_000_000), "too_large"),
    dead("10 MB of readings", b"[%s]" % b",".join([sent()] * 200_000), "too_large"),
]  # fmt: skip

GZIP_CASES = [
    good("gzip", gzip.compress(sent())),
    good("gzip of an array", gzip.compress(b"[%s,%s]" % (sent(), sent())), readings=2),
    good("gzip of Avro", gzip.compress(avro(one(), one())), readings=2),
    dead("gzip of nothing", gzip.compress(b""), "empty"),
    dead("gzip of a bad reading", gzip.compress(sent("17")), "wrong_type", "$.device_id"),
    Case("gzip of a bad entry", gzip.compress(b"[%s,17]" % sent()), readings=1,
         dead=(("wrong_type", "$"),), kept=(b"17",)),
    dead("gzip, truncated", gzip.compress(sent())[:-4], "bad_gzip"),
    dead("gzip, its beginning", b"\x1f\x8b", "bad_gzip"),
    dead("gzip, damaged", gzip.compress(sent())[:-8] + bytes(8), "bad_gzip"),
    dead("gzip, then other bytes", gzip.compress(sent()) + b"x", "bad_gzip"),
    dead("gzip twice in a row", gzip.compress(sent()) * 2, "bad_gzip"),
    dead("gzip of gzip", gzip.compress(gzip.compress(sent())), "malformed"),
    dead("gzip by name alone", b"\x1f\x8b" + random.Random(3).randbytes(200), "bad_gzip"),
    dead("a bomb of 10 MB", gzip.compress(bytes(10_000_000)), "too_large"),
    dead("a bomb of 100 MB", gzip.compress(bytes(10**8), 1), "too_large"),
    good("gzip of 1 MiB", gzip.compress(sent(x='"%s"' % ("y" * (MIB - len(sent(x='""'))))))),
    dead("gzip of 1 MiB and a byte",
         gzip.compress(sent(x='"%s"' % ("y" * (MIB + 1 - len(sent(x='""')))))), "too_large"),
    dead("gzip of 100,000 empty objects", gzip.compress(b"[%s]" % b",".join([b"{}"] * 100_000)),
         "too_many"),
]  # fmt: skip

AVRO_CASES = [
    good("a container", avro(one())),
    good("a container of many", avro(*[one()] * 500), readings=500),
    good("a container of several blocks", avro_head(record_of(("device", "string"), ("ts", "long")))
         + avro_block(varint(1) + b"a" + varint(NOW)) * 3, readings=3),
    good("extra fields", avro(one(x={"k": 1}, y=[1, 2], z="水"), x={"type": "map", "values": "int"},
         y={"type": "array", "items": "int"}, z="string")),
    good("a timestamp in milliseconds", avro(one(event_time=NOW * 1000), event_time={
        "type": "long", "logicalType": "timestamp-millis"})),
    good("a timestamp in microseconds", avro(one(event_time=NOW * 1_000_000), event_time={
        "type": "long", "logicalType": "timestamp-micros"})),
    good("an enum and nested records", avro(
        one(x="on", y={"b": {"c": 1}}), x={"type": "enum", "name": "e", "symbols": ["on", "off"]},
        y=record_of(("b", record_of(("c", "int"), name="c")), name="b"))),
    dead("a local timestamp has no zone", avro(one(event_time=NOW * 1000), event_time={
        "type": "long", "logicalType": "local-timestamp-millis"}),
        "bad_event_time", "$.event_time"),
    dead("a time of day is no event time", avro(one(event_time=NOW), event_time={
        "type": "long", "logicalType": "time-micros"}), "bad_event_time", "$.event_time"),
    dead("an empty container", avro(), "empty"),
    dead("NaN in a container", avro(one(temperature=math.nan)), "out_of_range", "$.temperature"),
    dead("infinity in a container", avro(one(temperature=-math.inf)),
         "out_of_range", "$.temperature"),
    dead("out of range in a container", avro(one(temperature=85.5)),
         "out_of_range", "$.temperature"),
    dead("bytes for a number", avro(one(temperature=b"x"), temperature="bytes"),
         "wrong_type", "$.temperature"),
    dead("a container of other fields", avro_of(record_of(("a", "int")), varint(1)),
         "missing_field", "$.device_id"),
    dead("invalid UTF-8 in a container", avro_of(record_of(("device_id", "string")),
         varint(1) + b"\xff"), "not_utf8"),
    dead("a logical type that does not fit", avro_of(record_of(
        ("u", {"type": "string", "logicalType": "uuid"})), varint(1) + b"x"), BAD_AVRO),
    dead("a timestamp beyond the calendar", avro_of(record_of(
        ("t", {"type": "long", "logicalType": "timestamp-micros"})), varint(2**62)), BAD_AVRO),
    dead("compressed by deflate", avro(one(), codec="deflate"), BAD_AVRO),
    dead("compressed by something unknown", avro_head(record_of(("a", "int")), b"zip"), BAD_AVRO),
    dead("a truncated container", CUT_AVRO, BAD_AVRO),
    dead("a container's beginning", b"Obj\x01", BAD_AVRO),
    dead("random bytes behind it", b"Obj\x01" + random.Random(4).randbytes(500), BAD_AVRO),
    dead("a wrong sync marker", avro_of(record_of(("a", "int")), varint(1))[:-1] + b"T", BAD_AVRO),
    dead("no schema", b"Obj\x01" + varint(0) + b"S" * 16, BAD_AVRO),
    dead("a schema that is no JSON", avro_of(b"{", b""), BAD_AVRO),
    dead("a schema that is no UTF-8", avro_of(b'"\xff"', b""), "not_utf8"),
    dead("a schema of a number", avro_of(b"5", b""), BAD_AVRO),
    dead("a schema that is no record", avro_of("string", varint(1) + b"a"), BAD_AVRO),
    dead("a schema of unknown types", avro_of(record_of(("a", "teapot")), b"x"), BAD_AVRO),
    dead("a schema without fields", avro_of({"type": "record", "name": "r"}, b"x"), BAD_AVRO),
    dead("a schema with a wrong logical type", avro_of(record_of(("a", {
        "type": "bytes", "logicalType": "decimal", "precision": 3, "scale": -1})), varint(0)),
        BAD_AVRO),
    dead("a schema nested 100,000 deep", avro_of(b"[" * 100_000, b""), BAD_AVRO),
    dead("a schema nested 10,000 deep", avro_of(b'{"type":' * 7000, b""), BAD_AVRO),
    dead("a schema of 70 kB", avro_of(
        {**record_of(("device", "string"), ("ts", "long")), "doc": "d" * 70_000},
        varint(1) + b"a" + varint(NOW)), BAD_AVRO),
    good("a schema of 60 kB", avro_of(
        {**record_of(("device", "string"), ("ts", "long")), "doc": "d" * 60_000},
        varint(1) + b"a" + varint(NOW))),
    dead("a huge text is claimed", avro_of(record_of(("a", "string")), varint(2**40)), BAD_AVRO),
    dead("a text of negative length", avro_of(record_of(("a", "string")), varint(-5)), BAD_AVRO),
    dead("a huge fixed is claimed", avro_of(record_of(
        ("a", {"type": "fixed", "name": "f", "size": 10**12})), b"x"), BAD_AVRO),
    dead("a huge block is claimed", avro_of(record_of(("a", "int")), b"\2", size=2**40), BAD_AVRO),
    dead("a block of negative size", avro_of(record_of(("a", "int")), b"\2", size=-5), BAD_AVRO),
    dead("many records are claimed", avro_of(record_of(("a", "int")), b"\2", count=2**60),
         BAD_AVRO),
    dead("fewer than no records", avro_of(record_of(("a", "int")), b"\2", count=-1), BAD_AVRO),
    dead("fewer records than bytes", avro_of(record_of(("a", "int")), b"\2\2", count=1), BAD_AVRO),
    dead("many entries of a header", b"Obj\x01" + varint(2**60) + varint(3) + b"abc", BAD_AVRO),
    dead("a number of endless length", b"Obj\x01" + b"\xff" * 1000, BAD_AVRO),
    dead("a record that holds itself", avro_of(record_of(("a", "r")), b""), BAD_AVRO),
    dead("a chain 900,000 long", avro_of(record_of(("a", ["null", "r"])), b"\2" * 900_000),
         BAD_AVRO),
    dead("records that double 30 times", avro_of(DOUBLING, b""), BAD_AVRO),
    dead("records of no bytes", avro_of(record_of(("a", "null")), b"", count=2**40), BAD_AVRO),
    dead("records of no fields", avro_of(record_of(), b"", count=2**40), BAD_AVRO),
    dead("a list of no bytes", avro_of(record_of(
        ("a", {"type": "array", "items": "null"})), varint(2**40) + varint(0)), BAD_AVRO),
    dead("a list of records", avro_of(record_of(
        ("a", {"type": "array", "items": record_of(("b", "int"), name="b")})), varint(0)),
        BAD_AVRO),
    dead("a map of symbols", avro_of(record_of(("a", {"type": "map", "values": {
        "type": "enum", "name": "e", "symbols": ["A" * 10_000]}})), varint(0)), BAD_AVRO),
    dead("a symbol beyond the last", avro_of(record_of(
        ("a", {"type": "enum", "name": "e", "symbols": ["A"]})), varint(5)), BAD_AVRO),
    dead("a branch beyond the last", avro_of(record_of(("a", ["null", "int"])), varint(9)),
         BAD_AVRO),
    dead("too many records", avro_of(record_of(("a", "int")), b"\2" * (MAX_READINGS + 1),
         count=MAX_READINGS + 1), "too_many"),
    dead("a container of 10 MB", avro(one(x="y" * 10_000_000), x="string"), "too_large"),
]  # fmt: skip

RULE_CASES = [
    Case("a dropped device", sent('"test-1"'), filtered=1, rules=RULES),
    Case("a dropped device by its other name", sent('"test-1"').replace(b"device_id", b"device"),
         filtered=1, rules=RULES),
    Case("a dropped device with an invalid reading", b'{"device_id":"test-1","temperature":"x"}',
         filtered=1, rules=RULES),
    Case("a dropped type in a field", sent(type='"heartbeat"'), filtered=1, rules=RULES),
    Case("a dropped type in a field of nothing else", b'{"type":"heartbeat"}', filtered=1,
         rules=RULES),
    Case("a dropped type in the attributes", sent(), filtered=1, rules=RULES,
         attributes={"type": "heartbeat"}),
    Case("a dropped type, malformed", b"beat!", filtered=1, rules=RULES,
         attributes={"type": "heartbeat"}),
    Case("a dropped type, too large", b" " * (MIB + 1), filtered=1, rules=RULES,
         attributes={"type": "heartbeat"}),
    Case("some of an array", b'[%s,%s,17,{"type":"heartbeat"}]' % (sent(), sent('"test-2"')),
         readings=1, filtered=2, dead=(("wrong_type", "$"),), kept=(b"17",), rules=RULES),
    Case("some of a container", avro(one(), one(device="test-3"), one(device="")), readings=1,
         filtered=1, dead=(("wrong_length", "$.device_id"),), kept=(avro(one(device="")),),
         rules=RULES),
    dead("another device, invalid", sent('"tess"', temperature='"x"'), "wrong_type",
         "$.temperature", rules=RULES),
    dead("a device of the wrong type", sent("[1]"), "wrong_type", "$.device_id", rules=RULES),
    dead("a type of the wrong type", sent(type="[1]", temperature='"x"'), "wrong_type",
         "$.temperature", rules=RULES),
    dead("malformed, of no type", b"beat!", "malformed", rules=RULES),
    good("an attribute says the type", sent(type='"heartbeat"'), rules=RULES,
         attributes={"type": "data"}),
]  # fmt: skip

CASES = JSON_CASES + GZIP_CASES + AVRO_CASES + RULE_CASES
ROOM = load_contract("room")


def decode(messages, rules=()):
    """Everything decoded, as rows; what `Decoder` promises of each batch is checked."""
    decoder = Decoder(ROOM, PayloadParser(ROOM, rules))
    readings, letters, filtered = [], [], 0
    for decoded in decoder.decode(message_batch(messages)):
        check_schema(decoded.readings, decoder.schema)
        check_schema(decoded.dead_letters, decoder.dead_letter_schema)
        check_values(decoded.readings)
        readings += decoded.readings.to_pylist()
        letters += decoded.dead_letters.to_pylist()
        filtered += sum(decoded.filtered.values())
    return readings, letters, filtered


def check_schema(batch, schema):
    batch.validate(full=True)
    assert batch.schema.equals(schema, check_metadata=True)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        assert field.nullable or not column.null_count, field.name


def check_values(readings):
    for channel in ROOM.channels:
        for value in readings.column(channel.name).drop_null().to_pylist():
            assert math.isfinite(value)
            assert channel.minimum <= value <= channel.maximum
    for device in readings.column("device_id").to_pylist():
        assert 1 <= len(device) <= 256
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in device)
    for attributes in readings.column("attributes").drop_null().to_pylist():
        assert isinstance(json.loads(attributes), dict)
    times = readings.column("event_time").cast(pa.int64()).to_pylist()
    assert all(631_152_000_000_000 <= time <= ARRIVAL + 3_600_000_000 for time in times)


def message(payload, attributes=None, position="000"):
    return Message(payload, "test", position, ARRIVAL, attributes or {})


def test_every_reason_is_documented_and_shown_by_a_case():
    page = (Path(__file__).parents[3] / "docs" / "data-formats.md").read_text(encoding="utf-8")
    section = page.partition("## Dead letter reasons\n")[2].partition("\nOther stages have")[0]
    documented = re.findall(r"^\| `(\w+)` \| \S", section, re.MULTILINE)
    assert sorted(documented) == sorted(get_args(Reason))
    assert {reason for case in CASES for reason, _ in case.dead} == set(get_args(Reason))


def test_there_are_enough_cases_and_each_has_its_own_name():
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_message_costs_itself_only(case):
    neighbour = message(sent('"neighbour"'))
    around = [neighbour, message(case.payload, case.attributes, "001"), neighbour]
    readings, letters, filtered = decode(around, case.rules)

    mine = [row for row in readings if row["device_id"] != "neighbour"]
    assert len(readings) - len(mine) == 2
    told = tuple((letter["reason"], letter["path"]) for letter in letters)
    assert (len(mine), told, filtered) == (case.readings, case.dead, case.filtered)
    kept = case.kept if case.kept is not None else (case.payload,) * len(case.dead)
    assert tuple(letter["payload"] for letter in letters) == kept
    for row in mine + letters:
        assert (row["source"], row["position"]) == ("test", "001")
    for letter in letters:
        from_source = letter["reason"] in get_args(Why)
        assert letter["stage"] == ("read" if from_source else "decode")
        assert 0 < len(letter["error"]) <= 500
        assert dict(letter["attributes"]) == (case.attributes or {})


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.kept is not None], ids=lambda case: case.name
)
def test_what_a_dead_letter_of_many_readings_holds_fails_alone_as_it_failed_there(case):
    assert len(case.kept) == len(case.dead)
    for payload, reason in zip(case.kept, case.dead, strict=True):
        if payload.startswith(b"["):  # an entry that was a list is a list of readings now
            continue
        readings, letters, filtered = decode([message(payload)], case.rules)
        assert (readings, filtered) == ([], 0)
        assert [(letter["reason"], letter["path"]) for letter in letters] == [reason]


def test_one_bad_record_of_a_container_leaves_the_others():
    bad = [one(device=""), one(temperature=math.inf), one(event_time=0)]
    readings, letters, _ = decode([message(avro(one("a"), *bad, one("b")))])
    assert [row["device_id"] for row in readings] == ["a", "b"]
    assert [letter["reason"] for letter in letters] == [
        "wrong_length",
        "out_of_range",
        "bad_event_time",
    ]
    for letter, reading in zip(letters, bad, strict=True):
        assert list(fastavro.reader(io.BytesIO(letter["payload"]))) == [reading]


def test_invalid_utf8_in_one_record_of_a_container_leaves_the_others():
    schema = record_of(("device", "string"), ("ts", "long"))
    records = [varint(1) + device + varint(NOW) for device in (b"a", b"\xff", b"b")]
    container = avro_of(schema, b"".join(records), count=3)
    readings, letters, _ = decode([message(container)])
    assert [row["device_id"] for row in readings] == ["a", "b"]
    assert [(letter["reason"], letter["payload"]) for letter in letters] == [
        ("not_utf8", avro_of(schema, records[1]))
    ]


def test_a_hostile_message_in_one_batch_with_all_others_changes_none_of_them():
    cases = [case for case in CASES if not case.rules]
    messages = [message(case.payload, case.attributes, case.name) for case in cases]
    readings, letters, filtered = decode(messages)
    for case in cases:
        rows = [row for row in readings if row["position"] == case.name]
        mine = [letter for letter in letters if letter["position"] == case.name]
        told = [(letter["reason"], letter["path"]) for letter in mine]
        assert (len(rows), told) == (case.readings, list(case.dead)), case.name
    assert filtered == 0
