"""The dialects agree: what one of them takes all take, give back unchanged, or refuse alike."""

import base64
import binascii
import io
import json
import math
from datetime import UTC, datetime
from functools import partial

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastavro.validation import ValidationError as AvroMisfit
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as JsonMisfit

from eddyline.io.lake.tables import conform
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.bigquery import MAX_DESCRIPTION, bigquery_schema
from eddyline.schemas.channel import read_channel_file
from eddyline.schemas.dialects import DIALECTS
from eddyline.schemas.glue import MAX_COMMENT_BYTES, glue_columns
from eddyline.schemas.json_schema import json_schema
from eddyline.schemas.record import (
    RECORD_NAMES,
    Field,
    Record,
    contract_of,
    load_contract,
    standard_fields,
)

pytestmark = pytest.mark.many

quick = settings(max_examples=25)
INT64 = st.integers(-(2**63), 2**63 - 1)
TIME = st.datetimes(timezones=st.just(UTC))  # of the years 1 to 9999


class Misfit(Exception):
    """A row that a dialect refuses, where the dialect has no library of its own to say so."""


# Channels and rows, generated.


@st.composite
def channel_fields(draw, name):
    field = {"name": name, "type": draw(st.sampled_from(["double", "long", "boolean"]))}
    if field["type"] != "boolean":
        most = 2**62
        limit = (
            st.floats(-(2.0**62), 2.0**62)
            if field["type"] == "double"
            else st.integers(-most, most).map(float).map(int)  # limits are doubles
        )
        pair = draw(st.tuples(limit, limit).filter(lambda pair: pair[0] != pair[1]))
        field["minimum"], field["maximum"] = sorted(pair)
        field["out_of_range"] = draw(st.sampled_from(["refuse", "keep"]))
    if draw(st.booleans()):
        field |= {"unit": draw(st.text(max_size=5)), "doc": draw(st.text(max_size=400))}
    return field


@st.composite
def contracts(draw):
    taken = standard_fields()
    name = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(lambda n: n not in taken)
    names = draw(st.lists(name, min_size=1, max_size=4, unique=True))
    fields = [draw(channel_fields(name)) for name in names]
    text = json.dumps({"type": "record", "name": "drawn", "fields": fields})
    return contract_of(read_channel_file(text, taken))


def values(field: Field):
    low, high = field.minimum, field.maximum
    match field.type:
        case "string":
            value = st.text(max_size=20)
        case "bytes":
            value = st.binary(max_size=50)
        case "long" if low is not None:
            value = st.integers(math.ceil(low), math.floor(high))
        case "long":
            value = INT64
        case "double":
            value = st.floats(low, high, allow_nan=False, allow_infinity=False)
        case "boolean":
            value = st.booleans()
        case "timestamp":
            value = TIME
        case "strings":
            value = st.lists(st.text(max_size=9), max_size=3)
        case "map":
            value = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)
    return st.none() | value if field.nullable else value


def rows(record: Record):
    return st.fixed_dictionaries({field.name: values(field) for field in record.fields})


# Each dialect: a row through it and back; it raises for a row that does not fit.


def through_avro(record, row):
    schema = fastavro.parse_schema(avro_schema(record))
    file = io.BytesIO()
    fastavro.writer(file, schema, [row], validator=True)
    file.seek(0)
    [back] = fastavro.reader(file)
    return back


def through_parquet(record, row):
    schema = arrow_schema(record)
    file = pa.BufferOutputStream()
    # pyarrow itself stores a null list of a column that may not be null as an empty one.
    rows = conform(pa.Table.from_pylist([row], schema=schema), schema, record.name)
    pq.write_table(rows, file)
    table = pq.read_table(pa.BufferReader(file.getvalue()))
    assert table.schema.equals(schema)
    [back] = table.to_pylist(maps_as_pydicts="strict")
    return back


def json_form(value):
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def from_json_form(field, value):
    if value is not None and field.type == "timestamp":
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if value is not None and field.type == "bytes" else value


def through_json(record, row):
    text = json.dumps({name: json_form(value) for name, value in row.items()}, allow_nan=False)
    parsed = json.loads(text)
    checker = Draft202012Validator.FORMAT_CHECKER
    assert "date-time" in checker.checkers, "install rfc3339-validator: formats go unchecked"
    Draft202012Validator(json_schema(record), format_checker=checker).validate(parsed)
    return {f.name: from_json_form(f, parsed[f.name]) for f in record.fields}


def is_base64(value):
    try:
        return bool(base64.b64decode(value, validate=True)) or value == ""
    except binascii.Error:
        return False


def is_time(value):
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def fits_bigquery_type(column, value):
    match column["type"]:
        case "STRING":
            return isinstance(value, str)
        case "BYTES":
            return isinstance(value, str) and is_base64(value)
        case "INTEGER":
            return is_number(value) and isinstance(value, int) and -(2**63) <= value < 2**63
        case "FLOAT":
            return is_number(value) and math.isfinite(value)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "TIMESTAMP":
            return isinstance(value, str) and is_time(value)
        case "RECORD":
            check_bigquery(column["fields"], value)
            return True
        case unknown:
            raise AssertionError(f"BigQuery type {unknown!r} has no check")


def check_bigquery(columns, row):
    if not isinstance(row, dict) or set(row) - {column["name"] for column in columns}:
        raise Misfit(row)
    for column in columns:
        value = row.get(column["name"])
        match column["mode"]:
            case "REQUIRED":
                fits = value is not None and fits_bigquery_type(column, value)
            case "NULLABLE":
                fits = value is None or fits_bigquery_type(column, value)
            case "REPEATED":
                fits = isinstance(value, list) and all(fits_bigquery_type(column, v) for v in value)
            case unknown:
                raise AssertionError(f"BigQuery mode {unknown!r} has no check")
        if not fits:
            raise Misfit(column["name"], value)


def bigquery_form(field, value):
    if field.type == "map" and isinstance(value, dict):
        return [{"key": key, "value": each} for key, each in value.items()]
    if field.type == "strings" and field.nullable and value is None:
        return []
    return json_form(value)


def through_bigquery(record, row):
    form = {f.name: bigquery_form(f, row[f.name]) for f in record.fields if f.name in row}
    parsed = json.loads(json.dumps(form, allow_nan=False))
    check_bigquery(bigquery_schema(record), parsed)
    back = {f.name: from_json_form(f, parsed[f.name]) for f in record.fields}
    for field in record.fields:
        if field.type == "map":
            back[field.name] = {pair["key"]: pair["value"] for pair in back[field.name]}
    return back


REFUSALS = {
    through_avro: (AvroMisfit,),
    through_parquet: (ValueError, pa.ArrowTypeError, OverflowError),
    through_json: (JsonMisfit,),
    through_bigquery: (Misfit,),
}


# The agreement.


@pytest.mark.parametrize("name", RECORD_NAMES)
@pytest.mark.parametrize("through", [through_avro, through_parquet, through_json])
@quick
@given(data=st.data())
def test_a_row_comes_back_as_it_was(through, name, data):
    record = data.draw(contracts()).record(name)
    row = data.draw(rows(record))
    assert through(record, row) == row


@pytest.mark.parametrize("name", RECORD_NAMES)
@quick
@given(data=st.data())
def test_a_row_comes_back_from_bigquery_with_a_missing_list_as_an_empty_one(name, data):
    record = data.draw(contracts()).record(name)
    row = data.draw(rows(record))
    lists = {f.name for f in record.fields if f.type == "strings"}
    expected = {k: [] if k in lists and v is None else v for k, v in row.items()}
    assert through_bigquery(record, row) == expected


TANK = json.dumps(
    {
        "type": "record",
        "name": "tank",
        "fields": [
            {"name": "level", "type": "double", "minimum": 0, "maximum": 9},
            {"name": "strokes", "type": "long", "minimum": 0, "maximum": 9},
            {"name": "open", "type": "boolean"},
        ],
    }
)
WRONG = {
    "string": [5, True, ["a"], {"a": "b"}],
    "bytes": [5, 1.5, ["a"]],
    "long": ["5", "", 2**63, -(2**63) - 1, True, [5]],
    "double": ["5", "", [1.0], {"a": 1.0}],
    "boolean": [0, 1, "true", ""],
    "timestamp": ["yesterday", "", "2020-07-13T00:00:00", [0]],
    "strings": [5, [1], [None], ["a", None], [["a"]]],
    "map": [5, {"a": 1}, {"a": None}, ["a"], {"a": ["b"]}],
}
PLAIN = {
    "string": "a",
    "bytes": b"a",
    "long": 1,
    "double": 1.0,
    "boolean": True,
    "timestamp": datetime(2020, 7, 13, tzinfo=UTC),
    "strings": ["a"],
    "map": {"a": "b"},
}


@pytest.mark.parametrize("name", RECORD_NAMES)
@pytest.mark.parametrize("through", REFUSALS)
def test_a_value_of_the_wrong_type_is_refused(through, name):
    record = contract_of(read_channel_file(TANK, standard_fields())).record(name)
    row = {field.name: PLAIN[field.type] for field in record.fields}
    through(record, row)
    for field in record.fields:
        for wrong in WRONG[field.type]:
            with pytest.raises(REFUSALS[through]):
                through(record, row | {field.name: wrong})


REQUIRED = [
    pytest.param(record, field.name, id=f"{record.name}.{field.name}")
    for record in map(load_contract("env_telemetry").record, RECORD_NAMES)
    for field in record.fields
    if not field.nullable
]


@pytest.mark.parametrize(("record", "required"), REQUIRED)
@settings(max_examples=3)
@given(data=st.data())
def test_null_in_a_required_field_is_refused_by_all(record, required, data):
    row = {**data.draw(rows(record)), required: None}
    for through, refusal in REFUSALS.items():
        with pytest.raises(refusal):
            through(record, row)


@pytest.mark.parametrize("name", RECORD_NAMES)
@quick
@given(data=st.data())
def test_a_field_that_may_be_missing_may_be_null_for_all(name, data):
    record = data.draw(contracts()).record(name)
    row = data.draw(rows(record)) | {f.name: None for f in record.fields if f.nullable}
    for through in REFUSALS:
        through(record, row)


BIGQUERY_TO_ARROW = {
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}
required = partial(pa.field, nullable=False)


def arrow_type_of_bigquery(column):
    if column["type"] == "RECORD":
        key, value = (required(f["name"], arrow_type_of_bigquery(f)) for f in column["fields"])
        assert {f["mode"] for f in column["fields"]} == {"REQUIRED"}
        return pa.map_(key.type, value)
    element = BIGQUERY_TO_ARROW[column["type"]]
    return pa.list_(required("element", element)) if column["mode"] == "REPEATED" else element


@pytest.mark.parametrize("name", RECORD_NAMES)
@quick
@given(contract=contracts())
def test_bigquery_columns_are_the_arrow_columns(name, contract):
    record = contract.record(name)
    for column, field in zip(bigquery_schema(record), arrow_schema(record), strict=True):
        assert column["name"] == field.name
        assert arrow_type_of_bigquery(column) == field.type
        if column["mode"] != "REPEATED":
            assert column["mode"] == ("NULLABLE" if field.nullable else "REQUIRED")
        assert len(column["description"]) <= MAX_DESCRIPTION


GLUE_TO_ARROW = {
    "string": pa.string(),
    "binary": pa.binary(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_type_of_glue(text):
    if text.startswith("array<"):
        return pa.list_(required("element", arrow_type_of_glue(text[6:-1])))
    if text.startswith("map<"):
        key, value = text[4:-1].split(",")
        return pa.map_(arrow_type_of_glue(key), required("value", arrow_type_of_glue(value)))
    return GLUE_TO_ARROW[text]


@pytest.mark.parametrize("name", RECORD_NAMES)
@quick
@given(contract=contracts())
def test_glue_columns_are_the_arrow_columns(name, contract):
    record = contract.record(name)
    for column, field in zip(glue_columns(record), arrow_schema(record), strict=True):
        assert column["name"] == field.name
        assert arrow_type_of_glue(column["type"]) == field.type
        assert len(column["comment"].encode()) <= MAX_COMMENT_BYTES
        assert len(column["comment"].splitlines()) <= 1


def test_a_column_type_without_a_check_fails():
    with pytest.raises(AssertionError, match="BigQuery type 'NUMERIC' has no check"):
        check_bigquery([{"name": "a", "type": "NUMERIC", "mode": "NULLABLE"}], {"a": 1})
    with pytest.raises(KeyError, match="decimal"):
        arrow_type_of_glue("array<decimal>")


def room(name):
    return load_contract("room").record(name)


def reading_json(**change):
    row = {f.name: f.default for f in room("reading").fields} | {
        "device_id": "a",
        "event_time": datetime(2020, 7, 13, tzinfo=UTC),
        "reading_id": 1,
        "arrival_time": datetime(2020, 7, 13, tzinfo=UTC),
        "source": "s",
        "position": "0",
    }
    return {k: json_form(v) for k, v in (row | change).items()}


def validate(schema, value):
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(schema, format_checker=checker).validate(value)


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_the_json_schema_is_one_of_its_draft(name):
    Draft202012Validator.check_schema(json_schema(room(name)))


@pytest.mark.parametrize("humidity", [0, 100, None])
def test_json_takes_a_channel_up_to_its_limits(humidity):
    validate(json_schema(room("reading")), reading_json(humidity=humidity))


@pytest.mark.parametrize(
    "change",
    [
        {"humidity": -0.1},
        {"humidity": 100.1},
        {"event_time": "2020-07-13 00:00:00"},
        {"event_time": "2020-07-13T00:00:00"},
        {"event_time": "2020-02-30T00:00:00Z"},
        {"smell": 1.0},
    ],
    ids=str,
)
def test_json_refuses_what_is_beyond_limits_has_no_zone_or_was_not_declared(change):
    with pytest.raises(JsonMisfit):
        validate(json_schema(room("reading")), reading_json(**change))


@pytest.mark.parametrize("payload", ["", "YQ==", "YWI=", "YWJj", "+/+/"])
def test_json_takes_bytes_as_base64(payload):
    validate(json_schema(room("message"))["properties"]["payload"], payload)


@pytest.mark.parametrize("payload", ["a", "YQ", "YQ=", "{}", "YW Jj", "-_-_"])
def test_json_refuses_bytes_that_are_not_base64(payload):
    with pytest.raises(JsonMisfit):
        validate(json_schema(room("message"))["properties"]["payload"], payload)


def test_json_requires_what_is_neither_nullable_nor_has_a_default():
    assert json_schema(room("reading"))["required"] == [
        "device_id",
        "event_time",
        "reading_id",
        "arrival_time",
        "source",
        "position",
    ]
    assert json_schema(room("message"))["required"] == [
        "payload",
        "source",
        "position",
        "arrival_time",
    ]


def test_json_keeps_what_the_schema_file_keeps():
    text = json.dumps(
        {
            "type": "record",
            "name": "tank",
            "fields": [
                {"name": "l", "type": "double", "minimum": 0, "maximum": 1, "out_of_range": "keep"}
            ],
        }
    )
    record = contract_of(read_channel_file(text, standard_fields())).record("reading")
    assert not {"minimum", "maximum"} & set(json_schema(record)["properties"]["l"])


def test_whole_numbers_have_whole_limits_inside_the_declared_ones():
    text = json.dumps(
        {
            "type": "record",
            "name": "tank",
            "fields": [{"name": "n", "type": "long", "minimum": -0.5, "maximum": 2.5}],
        }
    )
    record = contract_of(read_channel_file(text, standard_fields())).record("reading")
    limits = json_schema(record)["properties"]["n"]
    assert (limits["minimum"], limits["maximum"]) == (0, 2)


def test_a_file_from_before_a_channel_was_declared_is_read_with_it():
    before = fastavro.parse_schema(avro_schema(room("minute")))
    later = fastavro.parse_schema(avro_schema(load_contract("env_telemetry").record("minute")))
    row = {f.name: f.default for f in room("minute").fields}
    row |= {"device_id": "a", "minute_start": datetime(2020, 7, 13, tzinfo=UTC)}
    row |= {"revision": 0, "readings": 1, "temperature_count": 1}
    file = io.BytesIO()
    fastavro.schemaless_writer(file, before, row)
    file.seek(0)
    back = fastavro.schemaless_reader(file, before, later)
    assert (back["temperature_count"], back["co_count"], back["co_mean"]) == (1, None, None)


@pytest.mark.parametrize("name", RECORD_NAMES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_prints_every_field(dialect, name):
    record = room(name)
    text = DIALECTS[dialect](record)
    assert all(field.name in text for field in record.fields)
    assert text == text.rstrip("\n")


@pytest.mark.parametrize(
    ("dialect", "schema"),
    [
        ("avro", avro_schema),
        ("json", json_schema),
        ("bigquery", bigquery_schema),
        ("glue", glue_columns),
    ],
)
def test_what_is_printed_is_the_schema(dialect, schema):
    assert json.loads(DIALECTS[dialect](room("reading"))) == schema(room("reading"))


def test_units_and_words_are_in_every_dialect_that_has_room_for_them():
    for dialect in ("avro", "json", "bigquery", "glue"):
        assert "°C" in DIALECTS[dialect](room("reading"))
    for dialect in ("avro", "json", "bigquery", "glue"):
        text = DIALECTS[dialect](load_contract("env_telemetry").record("reading"))
        assert "Carbon monoxide" in text


def test_an_over_long_comment_is_cut_between_characters():
    field = Field("a", "double", doc="µ" * 1100)
    record = Record("reading", "", (field,))
    assert glue_columns(record)[0]["comment"] == "µ" * 127
    assert bigquery_schema(record)[0]["description"] == "µ" * 1024
