"""Decode: batching changes nothing, ids, every kind of channel, and the transform itself."""

import json

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.channel import read_channel_file
from eddyline.schemas.message import Message, message_batch
from eddyline.schemas.record import contract_of, load_contract, standard_fields
from eddyline.transforms.decode import MAX_ROWS, Decode, Decoder, earliest
from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.decoding.payload import MAX_READINGS, PayloadParser
from eddyline.transforms.decoding.relevance import DropRule

SECOND = 1_000_000
ARRIVAL = 1_767_312_000 * SECOND  # 2026-01-02T00:00:00Z
ROOM = load_contract("room")
RULES = (DropRule("tests", device="test-*"),)


def reading(device="a", event_time="2026-01-01T12:00:00Z", **others):
    return {"device_id": device, "event_time": event_time, **others}


def messages_of(payloads):
    return [
        Message(p if isinstance(p, bytes) else json.dumps(p).encode(), "s", f"{n:03d}", ARRIVAL + n)
        for n, p in enumerate(payloads)
    ]


def decode(messages, contract=ROOM, rules=(), size=10_000):
    """Readings, dead letters and filtered, from batches of at most `size` messages."""
    decoder = Decoder(contract, PayloadParser(contract, rules))
    readings, letters, filtered = [], [], 0
    for at in range(0, len(messages), size):
        for decoded in decoder.decode(message_batch(messages[at : at + size])):
            decoded.readings.validate(full=True)
            assert decoded.readings.schema.equals(decoder.schema)
            readings += decoded.readings.to_pylist()
            letters += decoded.dead_letters.to_pylist()
            filtered += sum(decoded.filtered.values())
    return readings, letters, filtered


def readings_of(*payloads, contract=ROOM):
    readings, letters, _ = decode(messages_of(payloads), contract)
    assert letters == []
    return readings


def reasons_of(*payloads, contract=ROOM):
    readings, letters, _ = decode(messages_of(payloads), contract)
    assert readings == []
    return [(letter["reason"], letter["path"]) for letter in letters]


PAYLOADS = st.sampled_from(
    [
        reading(temperature=20.5),
        reading("b", 1767268800, humidity=40, x={"y": 1}),
        reading("test-1"),
        [reading("c", temperature=1), 5, reading("test-2"), reading("d", message_id=7)],
        reading(temperature="x"),
        [],
        b"{",
        b"",
    ]
)


@given(st.lists(PAYLOADS, max_size=12), st.integers(1, 12))
def test_any_batching_of_the_same_messages_gives_the_same_rows_in_the_same_order(payloads, size):
    messages = messages_of(payloads)
    assert decode(messages, rules=RULES, size=size) == decode(messages, rules=RULES)


@given(st.lists(PAYLOADS, min_size=1, max_size=12))
def test_rows_keep_the_order_of_their_messages(payloads):
    readings, letters, _ = decode(messages_of(payloads), rules=RULES)
    for rows in (readings, letters):
        positions = [row["position"] for row in rows]
        assert positions == sorted(positions)


def test_a_batch_of_no_messages_gives_no_rows_of_the_right_form():
    decoder = Decoder(ROOM, PayloadParser(ROOM))
    [decoded] = decoder.decode(message_batch([]))
    assert decoded.readings.schema.equals(decoder.schema)
    assert decoded.dead_letters.schema.equals(decoder.dead_letter_schema)
    assert (decoded.readings.num_rows, decoded.dead_letters.num_rows) == (0, 0)


def test_what_unpacks_to_much_comes_in_pieces_that_together_are_all_of_it():
    full = json.dumps([reading(temperature=n % 80) for n in range(MAX_READINGS)]).encode()
    decoder = Decoder(ROOM, PayloadParser(ROOM, max_bytes=len(full)))
    sizes = [d.readings.num_rows for d in decoder.decode(message_batch(messages_of([full] * 5)))]
    assert sum(sizes) == 5 * MAX_READINGS
    assert max(sizes) <= MAX_ROWS


def test_a_reading_has_every_field_as_it_was_sent():
    sent = reading(
        event_time="2026-01-01T12:00:00.25+01:00",
        message_id="m-1",
        firmware="1.2",
        temperature=20,
        pressure=None,
    )
    [row] = readings_of(sent)
    assert row.pop("event_time").isoformat() == "2026-01-01T11:00:00.250000+00:00"
    assert row.pop("arrival_time").isoformat() == "2026-01-02T00:00:00+00:00"
    assert isinstance(row.pop("reading_id"), int)
    assert row == {
        "device_id": "a",
        "message_id": "m-1",
        "firmware": "1.2",
        "attributes": None,
        "source": "s",
        "position": "000",
        "temperature": 20.0,
        "humidity": None,
        "pressure": None,
    }


def test_undeclared_fields_are_kept_as_they_were_written():
    text = b'{"device_id":"a","ts":1767268800,"v":1.50,"w":{"k": [1,  2]},"\\u00fc":"\\u00fc"}'
    [row] = readings_of(text)
    assert row["attributes"] == '{"v":1.50,"w":{"k": [1,  2]},"ü":"\\u00fc"}'


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).map("x".__add__),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists),
        max_size=4,
    )
)
def test_undeclared_fields_are_the_same_json(fields):
    [row] = readings_of(json.dumps(reading(**fields), ensure_ascii=False).encode("utf-8"))
    assert json.loads(row["attributes"] or "{}") == fields


def test_undeclared_fields_make_no_other_reading():
    plain, extra = readings_of(reading(temperature=20), reading(temperature=20, x=1))
    assert plain["reading_id"] == extra["reading_id"]


# --- ids --------------------------------------------------------------------------------------


@given(
    st.integers(631_152_000 * SECOND, ARRIVAL),
    st.floats(-40, 85),
    st.sampled_from(["RFC 3339", "s", "ms", "µs"]),
    st.sampled_from(["RFC 3339", "s", "ms", "µs"]),
)
def test_a_repeated_reading_has_the_same_id_however_its_time_was_written(micros, value, one, other):
    if "ms" in (one, other):
        micros -= micros % 1000
    written = {
        "RFC 3339": pa.scalar(micros, pa.timestamp("us", "UTC")).as_py().isoformat(),
        "s": micros / SECOND,
        "ms": micros // 1000,
        "µs": micros,
    }
    first, again = readings_of(
        reading(event_time=written[one], temperature=value),
        reading(event_time=written[other], temperature=value),
    )
    assert first["event_time"] == again["event_time"]
    assert first["reading_id"] == again["reading_id"]


def test_the_id_differs_with_device_time_value_and_what_is_missing():
    different = [
        reading(),
        reading("b"),
        reading(event_time="2026-01-01T12:00:00.000001Z"),
        reading(temperature=0),
        reading(humidity=0),
        reading(temperature=0, humidity=0),
        reading(temperature=0.5),
        reading(temperature=-0.5),
    ]
    ids = [row["reading_id"] for row in readings_of(*different)]
    assert len(set(ids)) == len(different)


def test_what_is_equal_in_value_has_one_id():
    same = [
        reading(temperature=0),
        reading(temperature=-0.0),
        reading(temperature=0.0, humidity=None),
        reading(temperature=0, firmware="2"),
        reading(temperature=0, message_id=None),
        reading(temperature=0, message_id=""),
    ]
    assert len({row["reading_id"] for row in readings_of(*same)}) == 1


def test_a_message_id_says_which_reading_it_is_whatever_it_carries():
    first, again, number, other, others = readings_of(
        reading(message_id="7", temperature=1),
        reading(message_id="7", temperature=2, event_time="2026-01-01T13:00:00Z"),
        reading(message_id=7),
        reading(message_id="8", temperature=1),
        reading("b", message_id="7", temperature=1),
    )
    assert first["reading_id"] == again["reading_id"] == number["reading_id"]
    assert len({row["reading_id"] for row in (first, other, others)}) == 3
    assert [row["message_id"] for row in (first, number)] == ["7", "7"]


def test_an_id_is_the_same_on_every_run():
    [row] = readings_of(reading(temperature=20.5, humidity=40))
    assert row["reading_id"] == PINNED


PINNED = 4912526186547683916  # a change of it doubles every row that is replayed


# --- channels ---------------------------------------------------------------------------------


def contract(**channels):
    fields = [{"name": name, **declared} for name, declared in channels.items()]
    text = json.dumps({"type": "record", "name": "test", "fields": fields})
    return contract_of(read_channel_file(text, standard_fields()))


KINDS = contract(
    level={"type": "double", "minimum": 0, "maximum": 9, "out_of_range": "keep"},
    steps={"type": "long", "minimum": -5, "maximum": 5},
    total={"type": "long", "minimum": 0, "maximum": 10, "out_of_range": "keep"},
    open={"type": "boolean"},
)


def test_each_kind_of_channel_keeps_its_type():
    sent = reading(level=1, steps=-5, total=3, open=True)
    [row] = readings_of(sent, contract=KINDS)
    values = [row[name] for name in ("level", "steps", "total", "open")]
    assert values == [1.0, -5, 3, True]
    assert [type(value) for value in values] == [float, int, int, bool]


def test_what_the_schema_keeps_is_kept_beyond_its_limits():
    sent = [reading(level=-1e300, total=2**60 + 1), reading(level=9.5, total=-(2**60))]
    rows = readings_of(*sent, contract=KINDS)
    assert [(row["level"], row["total"]) for row in rows] == [
        (-1e300, 2**60 + 1),
        (9.5, -(2**60)),
    ]


@pytest.mark.parametrize(
    ("channel", "text", "reason"),
    [
        ("level", "1e999", "out_of_range"),
        ("level", "true", "wrong_type"),
        ("steps", "6", "out_of_range"),
        ("steps", "-6", "out_of_range"),
        ("steps", "9" * 40, "out_of_range"),
        ("steps", "1.5", "wrong_type"),
        ("steps", "true", "wrong_type"),
        ("total", "9223372036854775807", "out_of_range"),
        ("total", "9" * 40, "out_of_range"),
        ("total", "-" + "9" * 40, "out_of_range"),
        ("total", "1e30", "wrong_type"),
        ("steps", "1.0", "wrong_type"),
        ("open", "1", "wrong_type"),
        ("open", '"true"', "wrong_type"),
    ],
)
def test_a_value_of_another_kind_or_beyond_what_a_column_holds_is_refused(channel, text, reason):
    sent = f'{{"device_id":"a","ts":1767268800,"{channel}":{text}}}'.encode()
    assert reasons_of(sent, contract=KINDS) == [(reason, f"$.{channel}")]


def test_limits_of_a_whole_number_that_are_fractions_are_limits_of_its_values():
    halves = contract(steps={"type": "long", "minimum": 0.5, "maximum": 2.5})
    assert [row["steps"] for row in readings_of(reading(steps=1), reading(steps=2), contract=halves)
    ] == [1, 2]  # fmt: skip
    assert (
        reasons_of(reading(steps=0), reading(steps=3), contract=halves)
        == [("out_of_range", "$.steps")] * 2
    )


def test_other_names_of_standard_fields_are_found_and_its_own_name_counts_first():
    rows = readings_of(
        {"device": "a", "ts": 1767268800},
        {"device": "a", "time": 1767268800000},
        {
            "device_id": "a",
            "device": "b",
            "event_time": 1767268800,
            "ts": "no time at all"[:0] or 1,
        },
    )
    assert len({(row["device_id"], row["event_time"]) for row in rows}) == 1


def test_a_message_id_or_firmware_by_another_name_is_found():
    renamed = contract(
        level={"type": "double", "minimum": 0, "maximum": 9},
        message_id={"type": "string", "aliases": ["seq"]},
        firmware={"type": "string", "aliases": ["fw"]},
    )
    rows = readings_of(
        reading(seq=7, fw="1"),
        reading(message_id=None, seq=7, firmware=None, fw="1"),
        reading(message_id=7, seq=8, firmware="1", fw="2"),
        contract=renamed,
    )
    assert [(row["message_id"], row["firmware"]) for row in rows] == [("7", "1")] * 3


# --- the transform ----------------------------------------------------------------------------


def test_a_payload_may_be_as_large_as_is_said_and_at_least_a_byte():
    assert Decode(ROOM, max_bytes=1).max_bytes == 1
    with pytest.raises(ValueError, match="max_bytes must be at least 1, not 0"):
        Decode(ROOM, max_bytes=0)


def test_the_bounds_of_event_time_are_those_that_were_given():
    bounds = TimeBounds(earliest=ARRIVAL - SECOND, future=0)
    decoder = Decoder(ROOM, PayloadParser(ROOM, bounds=bounds))
    sent = [reading(event_time=(ARRIVAL + s * SECOND) / SECOND) for s in (-2, -1, 0, 1)]
    messages = [Message(json.dumps(s).encode(), "s", "0", ARRIVAL) for s in sent]
    [decoded] = decoder.decode(message_batch(messages))
    assert decoded.readings.num_rows == 2
    assert decoded.dead_letters.column("reason").to_pylist() == [
        "event_time_past",
        "event_time_future",
    ]


def test_earliest_is_the_earliest():
    column = pa.array([5_000_001, 3_000_002, 4_000_000], pa.timestamp("us", "UTC"))
    assert earliest(pa.record_batch({"t": column}), "t").micros == 3_000_002


@pytest.mark.job
def test_the_transform_gives_readings_at_their_earliest_time_dead_letters_and_counts():
    payloads = [reading(temperature=20.5), reading("test-1"), [reading("b"), 5], b"{"]
    batches = [message_batch(messages_of(payloads)), message_batch(messages_of([b"", b"x"]))]

    def stamped(batch, timestamp=beam.DoFn.TimestampParam):
        return [(batch.num_rows, timestamp.micros)]

    pipeline = beam.Pipeline(runner="FnApiRunner")
    decoded = pipeline | beam.Create(batches) | Decode(ROOM, RULES)
    expected = 1_767_268_800 * SECOND
    assert_that(
        decoded.readings | "Stamp" >> beam.FlatMap(stamped),
        lambda rows: _equal(rows, [(2, expected)]),
        label="readings",
    )
    assert_that(
        decoded.dead_letters | "Rows" >> beam.Map(lambda batch: batch.to_pylist()),
        lambda batches: _equal(
            sorted((row["reason"], row["payload"]) for rows in batches for row in rows),
            [("empty", b""), ("malformed", b"x"), ("malformed", b"{"), ("wrong_type", b"5")],
        ),
        label="dead letters",
    )
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    assert {c.key.metric.name: c.committed for c in counters} == {
        "messages": 6,
        "readings_decoded": 2,
        "dead_letters": 4,
        "dead_letter_empty": 1,
        "dead_letter_malformed": 2,
        "dead_letter_wrong_type": 1,
        "filtered": 1,
        "filtered_tests": 1,
    }


def _equal(actual, expected):
    assert actual == expected


def test_readings_have_the_columns_of_the_contract_in_its_order():
    names = Decoder(KINDS, PayloadParser(KINDS)).schema.names
    declared = arrow_schema(KINDS.record("reading"))
    assert names == [name for name in declared.names if name in set(names)]
    assert set(declared.names) - set(names) == {
        "site",
        "latitude",
        "longitude",
        "model",
        "known",
        "beyond_limits",
        "verdict",
        "score",
    }
