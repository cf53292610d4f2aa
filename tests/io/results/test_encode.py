"""Rows as messages."""

import io
import json

import fastavro
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator

from eddyline.io.results.destination import parse_destination
from eddyline.io.results.encode import Encoder
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.json_schema import json_schema


def test_a_json_body_is_what_the_json_schema_describes(table, incidents):
    validator = Draft202012Validator(
        json_schema(table("incidents").record), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    for result in Encoder(table("incidents"), "json").results(incidents(range(3), score=[1, 2, 3])):
        validator.validate(json.loads(result.body))
        assert json.loads(result.body)["event_time"].startswith("2026-01-02T00:00:00.00000")


def test_an_avro_body_is_read_back_by_its_schema(table, incidents):
    batch = incidents(range(3))
    schema = avro_schema(table("incidents").record)
    results = Encoder(table("incidents"), "avro").results(batch)
    for result, row in zip(results, batch.to_pylist(), strict=True):
        assert result.body[:2] == b"\xc3\x01"
        assert result.body[2:10].hex() == result.attributes["fingerprint"]
        assert result.attributes["content-type"] == "avro/binary"
        assert fastavro.schemaless_reader(io.BytesIO(result.body[10:]), schema) == row


def test_the_id_is_the_rows_own_and_the_same_in_other_batches_and_encodings(table, incidents):
    whole = [r.result_id for r in Encoder(table("incidents"), "json").results(incidents(range(9)))]
    parts = [
        result.result_id
        for numbers in (range(4), range(4, 9))
        for result in Encoder(table("incidents"), "avro").results(incidents(numbers))
    ]
    assert whole == parts
    assert len(set(whole)) == 9
    assert whole[7].startswith("room-2/event/7:0:")


def test_a_long_or_foreign_key_still_makes_a_short_plain_id(table, incidents):
    batch = incidents(range(2), incident_id=["x" * 300, "räume/7"])
    for result in Encoder(table("incidents"), "json").results(batch):
        assert len(result.result_id) <= 128
        assert result.result_id.isascii()


def test_a_storm_has_its_own_id_in_place_of_a_device(table, incidents):
    (result,) = Encoder(table("incidents"), "json").results(incidents([3], device_id=[None]))
    assert result.device_id == "room-3/event/3"


def test_dead_letters_with_bytes_and_maps_are_encoded(table):
    schema = table("dead_letters").schema
    row = {
        "arrival_time": 300_000_000_000_000_000,  # the year 11476
        "stage": "decode",
        "reason": "malformed",
        "path": None,
        "error": "no",
        "payload": b"\xff",
        "attributes": [("a", "b")],
        "source": "s",
        "position": "1",
    }
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array([row[name]], schema.field(name).type) for name in schema.names},
        schema=schema,
    )
    (plain,) = Encoder(table("dead_letters"), "json").results(batch)
    told = json.loads(plain.body)
    assert (told["payload"], told["attributes"]) == ("/w==", {"a": "b"})
    assert told["arrival_time"].startswith("11476-")
    (avro,) = Encoder(table("dead_letters"), "avro").results(batch)
    assert avro.result_id == plain.result_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:x",
        "pubsub:topic",
        "pubsub:projects/p/subscriptions/s",
        "kinesis:",
        "sns:incidents",
    ],
)
def test_what_is_no_destination_is_told_with_the_form_of_one(text):
    with pytest.raises(ValueError, match=r"is no destination; .*:"):
        parse_destination(text)
