"""20,000 payloads that nobody thought of: no crash, nothing lost, nothing stored that is wrong."""

import gzip
import io
import json
import math
import random
from collections import Counter

import fastavro
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eddyline.schemas.message import Message, message_batch
from eddyline.schemas.record import load_contract
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import PayloadParser
from eddyline.transforms.decoding.relevance import DropRule

ARRIVAL = 1_767_312_000_000_000  # 2026-01-02T00:00:00Z
ROOM = load_contract("room")
RULES = (DropRule("tests", device="test-*"), DropRule("beats", type="heartbeat"))
DECODERS = [Decoder(ROOM, PayloadParser(ROOM, rules)) for rules in ((), RULES)]
WITHOUT_A_CLOCK = settings(database=None, suppress_health_check=[HealthCheck.too_slow])

READING = {
    "device_id": "a",
    "event_time": "2026-01-01T12:00:00.5Z",
    "message_id": "m-1",
    "firmware": "1.2",
    "temperature": 20.5,
    "humidity": 40,
    "pressure": None,
}


def container(rng):
    schema = {
        "type": "record",
        "name": "reading",
        "fields": [
            {"name": "device_id", "type": "string"},
            {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "temperature", "type": ["null", "double"]},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
        ],
    }
    row = {"device_id": "a", "event_time": 1767311999000, "temperature": 20.5, "tags": ["x"]}
    sink = io.BytesIO()
    fastavro.writer(sink, schema, [row] * rng.randint(1, 3), sync_marker=b"S" * 16)
    return sink.getvalue()


def valid(rng):
    """A payload that is decoded without a dead letter."""
    match rng.randrange(6):
        case 0:
            return json.dumps([READING] * rng.randint(1, 4)).encode()
        case 1:
            return gzip.compress(json.dumps(READING).encode(), mtime=0)
        case 2:
            return container(rng)
        case 3:
            return json.dumps({**READING, "x": {"y": ["ü", 1e300, None]}}).encode()
        case 4:
            return json.dumps({"ts": 1767311999.5, "device": "test-1", "humidity": 3}).encode()
        case _:
            return json.dumps(READING).encode()


def mutated(rng):
    """A valid payload with some bytes flipped, cut out, doubled, or taken from another one."""
    payload = bytearray(valid(rng))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(payload) + 1)
        to = min(len(payload), at + rng.randint(1, 20))
        match rng.randrange(6):
            case 0 if at < len(payload):
                payload[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(payload):
                payload[at] = rng.choice(b'"{}[]:,\\0-eE.\x00\xff\x80ntu')
            case 2:
                del payload[at:]
            case 3:
                del payload[at:to]
            case 4:
                payload[at:at] = payload[at:to] * rng.randint(1, 3)
            case _:
                other = valid(rng)
                cut = rng.randrange(len(other))
                payload[at:] = other[cut : cut + rng.randint(1, 200)]
    return bytes(payload)


def noise(rng):
    start = rng.choice([b"", b"", b"{", b"[", b'{"device_id":', b"\x1f\x8b", b"Obj\x01"])
    return start + rng.randbytes(rng.randint(0, 80))


def check(payloads, attributes=None):
    """Decode as one batch, with and without drop rules, and check what is promised."""
    messages = [
        Message(payload, "fuzz", f"{n:04d}", ARRIVAL, attributes or {})
        for n, payload in enumerate(payloads)
    ]
    for decoder in DECODERS:
        items = Counter()
        filtered = 0
        for decoded in decoder.decode(message_batch(messages)):
            for batch, schema in (
                (decoded.readings, decoder.schema),
                (decoded.dead_letters, decoder.dead_letter_schema),
            ):
                check_fit(batch, schema)
                items.update(batch.column("position").to_pylist())
            check_readings(decoded.readings)
            check_letters(decoded.dead_letters, payloads)
            filtered += sum(decoded.filtered.values())
        several = sum(payload.lstrip()[:1] in (b"[", b"O", b"\x1f") for payload in payloads)
        if decoder.parser.rules:
            assert sum(items.values()) + filtered >= len(payloads)
        else:
            assert filtered == 0
            assert len(items) == len(payloads)
            assert sum(number == 1 for number in items.values()) >= len(payloads) - several


def check_fit(batch, schema):
    batch.validate(full=True)
    assert batch.schema.equals(schema, check_metadata=True)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        assert field.nullable or not column.null_count, field.name


def check_readings(readings):
    for channel in ROOM.channels:
        for value in readings.column(channel.name).drop_null().to_pylist():
            assert math.isfinite(value)
            assert channel.minimum <= value <= channel.maximum
    for device in readings.column("device_id").to_pylist():
        assert 1 <= len(device) <= 256
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in device)
    for attributes in readings.column("attributes").drop_null().to_pylist():
        fields = json.loads(attributes)
        assert fields
        assert not set(fields) & {"device_id", "device", "event_time", "temperature"}
    times = readings.column("event_time").cast(pa.int64()).to_pylist()
    assert all(631_152_000_000_000 <= time <= ARRIVAL + 3_600_000_000 for time in times)


def check_letters(letters, payloads):
    for letter in letters.to_pylist():
        assert letter["reason"].isidentifier()
        assert 0 < len(letter["error"]) <= 500
        sent = payloads[int(letter["position"])]
        kept = letter["payload"]
        assert kept in sent or kept.startswith(b"Obj\x01") or sent.startswith(b"\x1f\x8b")


@pytest.mark.job
@settings(WITHOUT_A_CLOCK, max_examples=180)
@given(st.integers(0, 2**64))
def test_any_bytes_and_any_damaged_message_are_accounted_for(seed):
    rng = random.Random(seed)
    check([(noise if rng.random() < 0.25 else mutated)(rng) for _ in range(100)])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from([0, 1e8, 1767311999, 1767311999.5, 1e999, -(2**63), 10**40, "", "\0", "1"])
    | st.datetimes().map(lambda time: time.isoformat() + "Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = st.sampled_from([*READING, "device", "ts", "time", "timestamp", "type", "x", "\ud7ff"])
CHANGES = st.lists(st.tuples(FIELDS, JSON), min_size=1, max_size=3)


@pytest.mark.job
@settings(WITHOUT_A_CLOCK, max_examples=100)
@given(st.lists(CHANGES, min_size=20, max_size=20), st.sampled_from([None, {"type": "heartbeat"}]))
def test_any_value_in_any_field_is_a_reading_or_a_dead_letter(changes, attributes):
    payloads = [json.dumps({**READING, **dict(change)}) for change in changes]
    check([payload.encode() for payload in payloads], attributes)


def test_what_the_fuzz_mutates_is_valid():
    rng = random.Random(0)
    messages = [Message(valid(rng), "fuzz", "0", ARRIVAL) for _ in range(200)]
    [decoded] = DECODERS[0].decode(message_batch(messages))
    assert decoded.readings.num_rows > 200
    assert decoded.dead_letters.num_rows == 0
