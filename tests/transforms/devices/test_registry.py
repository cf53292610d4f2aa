"""The device registry: three forms of one thing, taken whole or refused with the reason."""

import math

import pytest

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms.devices.registry import PLACE, read_registry

CHANNELS = ["temperature", "humidity"]
CSV = b"""device_id,site,latitude,longitude,model,owner
a,Bern,46.948,7.447,th-2,Ada
b,,,,,
"c, d","Z\xc3\xbcrich",47.4,,th-3,
"""
JSONL = """
{"device_id": "a", "site": "Bern", "latitude": 46.948, "longitude": 7.447, "model": "th-2"}

{"device_id": "b", "owner": {"name": "Ada"}}
{"device_id": "c, d", "site": "Zürich", "latitude": 47.4, "longitude": null, "model": "th-3"}
""".encode()
YAML = """
devices:
  - {device_id: a, site: Bern, latitude: 46.948, longitude: 7.447, model: th-2}
  - device_id: b
  - {device_id: "c, d", site: Zürich, latitude: 47.4, model: th-3}
models:
  th-2:
    temperature: {minimum: 5, maximum: 35}
    humidity: {maximum: 80}
  unused: {}
""".encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [("d.csv", CSV), ("d.jsonl", JSONL), ("d.ndjson", JSONL), ("d.yaml", YAML), ("d.yml", YAML)],
)
def test_each_form_tells_the_same(name, content):
    registry = read_registry(name, content, CHANNELS)
    assert registry.row == {"a": 0, "b": 1, "c, d": 2}
    assert registry.places.to_pylist() == [
        {"site": "Bern", "latitude": 46.948, "longitude": 7.447, "model": "th-2"},
        {"site": None, "latitude": None, "longitude": None, "model": None},
        {"site": "Zürich", "latitude": 47.4, "longitude": None, "model": "th-3"},
    ]


def test_the_columns_are_those_of_the_reading():
    reading = arrow_schema(load_contract("room").record("reading"))
    for field in PLACE:
        assert reading.field(field.name).type == field.type
        assert reading.field(field.name).nullable


def test_limits_come_from_the_model_and_are_open_where_nothing_is_said():
    registry = read_registry("d.yaml", YAML, CHANNELS)
    assert registry.low.tolist() == [[5, -math.inf], [-math.inf] * 2, [-math.inf] * 2]
    assert registry.high.tolist() == [[35, 80], [math.inf] * 2, [math.inf] * 2]


def test_limits_follow_the_order_of_the_channels():
    registry = read_registry("d.yaml", YAML, ["x", "humidity", "temperature"])
    assert registry.low[0].tolist() == [-math.inf, -math.inf, 5]
    assert registry.high[0].tolist() == [math.inf, 80, 35]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfdevice_id,site\r\na,Bern\r\n",
        b"site,device_id\rBern,a\r",
        b"device_id, site\na, Bern",
        b'device_id,site\n"a","Bern"\n\n',
    ],
)
def test_a_csv_file_may_come_from_a_spreadsheet(content):
    registry = read_registry("d.csv", content, CHANNELS)
    assert registry.row == {"a": 0}
    assert registry.places.column("site").to_pylist() == ["Bern"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.txt", b"a", r"d\.txt, a registry's name ends in \.csv, \.jsonl or \.yaml"),
        ("d.csv", b"", r"d\.csv, the file is empty"),
        ("d.jsonl", b" \n", r"d\.jsonl, the file is empty"),
        ("d.yaml", b"", r"d\.yaml, the file is empty"),
        ("d.yaml", b"# nothing", r"d\.yaml: Expected `object`, got `null`"),
        ("d.csv", b"device,site\n", r"d\.csv, the header line has no device_id"),
        ("d.csv", b"device_id,site\n,Bern\n", r"d\.csv, device 1: .*missing.*`device_id`"),
        ("d.csv", b"device_id,latitude\na,1\nb,91\n", r"device 2: .* <= 90.0 - at `\$\.latitude`"),
        ("d.csv", b"device_id,latitude\na,north\n", r"device 1: Expected `float"),
        ("d.csv", b"device_id,latitude\na,nan\n", r"device 1: Expected `float"),
        ("d.csv", b"device_id,longitude\na,-180.5\n", r"device 1: .* >= -180.0"),
        ("d.csv", b"device_id,longitude\na,-inf\n", r"device 1: .* >= -180.0"),
        ("d.csv", b"device_id\na\na\n", r"d\.csv, device 'a' is listed twice"),
        ("d.csv", b"device_id\na,b\n", r"device 1: "),
        ("d.csv", b'device_id\n"a\n', r"d\.csv: unexpected end of data"),
        ("d.csv", b"device_id\n\xff\n", r"d\.csv: 'utf-8' codec"),
        ("d.jsonl", b'{"device_id": "a"}\n{"device', r"d\.jsonl, device 2: Input data was trunc"),
        ("d.jsonl", b'{"device_id": "a"}\n[1]\n', r"device 2: Expected `object`, got `array`"),
        ("d.jsonl", b"null\n", r"device 1: Expected `object`, got `null`"),
        ("d.jsonl", b'{"device_id": 17}', r"device 1: Expected `str`, got `int`"),
        ("d.jsonl", b'{"device_id": "\xff"}', r"device 1: 'utf-8' codec"),
        ("d.jsonl", b"[" * 100_000, r"device 1: "),
        ("d.jsonl", b'{"device_id": "a", "site": ["x"]}', r"device 1: .* at `\$\.site`"),
        ("d.yaml", b"- a", r"d\.yaml: Expected `object`, got `array`"),
        ("d.yaml", b"devices: 5", r"d\.yaml: Expected `array`, got `int` - at `\$\.devices`"),
        ("d.yaml", b"devices: [5]", r"d\.yaml: Expected `object`, got `int`"),
        ("d.yaml", b"devices: [{device_id: 17}]", r"device 1: Expected `str`, got `int`"),
        ("d.yaml", b"sites: []", r"d\.yaml: .*unknown field `sites`"),
        ("d.yaml", b"devices: [", r"d\.yaml: while parsing"),
        ("d.yaml", b"\xff\xff", r"d\.yaml: "),
        ("d.yaml", b"devices: [{device_id: a, x: 2026-13-01}]", r"d\.yaml, month must be in"),
        ("d.yaml", b"models: {m: {lpg: {minimum: 1}}}", r"model 'm': no such channel: lpg"),
        ("d.yaml", b"models: {m: {humidity: {min: 1}}}", r"unknown field `min`"),
        ("d.yaml", b"models: {m: {humidity: {minimum: x}}}", r"Expected `float`, got `str`"),
        ("d.yaml", b"models: {m: {humidity: {minimum: 5, maximum: 4}}}", r"5.0 is above maximum 4"),
        ("d.yaml", b"models: {m: {humidity: {minimum: .nan}}}", r"nan is above maximum inf"),
        ("d.yaml", b"models: {m: {humidity: 5}}", r"Expected `object`, got `int`"),
    ],
)
def test_a_file_with_something_wrong_is_refused_with_the_reason(name, content, words):
    with pytest.raises(ValueError, match=words):
        read_registry(name, content, CHANNELS)


def test_importance_and_whether_a_device_is_expected_are_read_and_checked():
    content = b"device_id,importance,expected\na,high,true\nb,,\nc,low,0\n"
    registry = read_registry("d.csv", content, [])
    assert registry.importance == ("high", "normal", "low")
    assert registry.expected == ("a",)
    with pytest.raises(ValueError, match="device 1: Invalid enum value 'vital'"):
        read_registry("d.csv", b"device_id,importance\na,vital\n", [])
    with pytest.raises(ValueError, match="device 1: Expected `bool`"):
        read_registry("d.csv", b"device_id,expected\na,maybe\n", [])
