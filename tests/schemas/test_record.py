"""The records, filled with channels."""

import json
import re

import pytest

from eddyline.schemas.channel import Channel, ChannelFile
from eddyline.schemas.record import (
    RECORD_NAMES,
    SENT_FIELDS,
    contract_of,
    load_contract,
    standard_fields,
)


def contract(*channels, **aliases):
    return contract_of(ChannelFile("test", channels, aliases))


def channel(name, **more):
    return Channel(name, 0.0, 9.0, **more)


def names(record):
    return [field.name for field in record.fields]


def test_a_channel_is_one_column_of_readings_at_its_place():
    columns = names(contract(channel("b"), channel("a")).record("reading"))
    at = columns.index("b")
    assert columns[at - 1 : at + 3] == ["beyond_limits", "b", "a", "verdict"]


def test_a_channel_is_seven_columns_of_minutes_side_by_side():
    columns = names(contract(channel("b"), channel("a")).record("minute"))
    kinds = ("count", "mean", "min", "max", "std", "first", "last")
    assert columns[-14:] == [f"{c}_{kind}" for c in "ba" for kind in kinds]


@pytest.mark.parametrize("name", ["message", "anomaly", "dead_letter", "device"])
def test_the_other_records_do_not_depend_on_channels(name):
    assert contract(channel("a")).record(name) == contract(channel("b")).record(name)


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_columns_that_come_with_a_channel_may_be_missing_so_that_it_can_be_added_later(name):
    before, after = contract(channel("a")), contract(channel("a"), channel("b"))
    old = names(before.record(name))
    assert [f.name for f in after.record(name).fields if f.name not in old and not f.nullable] == []


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_every_column_is_a_name_that_every_dialect_takes(name):
    for field in load_contract("env_telemetry").record(name).fields:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", field.name)


def test_a_channel_keeps_its_kind_unit_limits_and_words():
    level = Channel("level", -1.0, 5.0, "long", "m", doc="Above the gauge.")
    [field] = [f for f in contract(level).record("reading").fields if f.name == "level"]
    assert (field.type, field.nullable, field.unit) == ("long", True, "m")
    assert (field.minimum, field.maximum, field.doc) == (-1.0, 5.0, "Above the gauge.")


@pytest.mark.parametrize("unbounded", [channel("a", keep=True), Channel("a", 0, 1, "boolean")])
def test_no_limit_is_promised_where_none_is_kept(unbounded):
    [field] = [f for f in contract(unbounded).record("reading").fields if f.name == "a"]
    assert (field.minimum, field.maximum) == (None, None)


def test_defaults_are_those_of_the_avro_file():
    fields = {f.name: f for f in load_contract().record("reading").fields}
    assert fields["known"].default is False
    assert fields["verdict"].default == "UNSCORED"
    assert fields["device_id"].default is None


def test_a_field_can_be_a_key():
    for name in RECORD_NAMES:
        assert hash(load_contract().record(name)) == hash(load_contract().record(name))


@pytest.mark.parametrize("taken", ["reading_id", "score", "site", "known", "event_date"])
def test_a_channel_cannot_take_the_name_of_a_reading_s_column(taken):
    with pytest.raises(ValueError, match=f"takes the name of another column: {taken}$"):
        contract(channel(taken))


def test_a_channel_is_declared_once():
    with pytest.raises(ValueError, match=r"takes the name of another column: a$"):
        contract(channel("a"), channel("a"))


def test_a_channel_may_be_called_like_a_column_of_another_channel_s_minutes():
    columns = names(contract(channel("a"), channel("a_min")).record("minute"))
    assert {"a_min", "a_min_min"} <= set(columns)


@pytest.mark.parametrize("taken", ["minute_start", "readings", "revision"])
def test_minutes_columns_are_free_names_for_channels_where_they_do_not_meet(taken):
    assert taken in names(contract(channel(taken)).record("reading"))


def test_the_standard_fields_have_other_names_by_default():
    plain = contract(channel("a"))
    assert plain.names_of("device_id") == ("device_id", "device")
    assert plain.names_of("event_time") == ("event_time", "timestamp", "ts", "time")
    assert plain.names_of("firmware") == ("firmware",)


def test_aliases_of_the_file_replace_the_default_ones():
    given = contract(channel("a"), event_time=("when",))
    assert given.names_of("event_time") == ("event_time", "when")
    assert given.names_of("device_id") == ("device_id", "device")


def test_a_channel_wins_over_a_default_alias():
    assert contract(channel("time")).names_of("event_time") == ("event_time", "timestamp", "ts")


@pytest.mark.parametrize(
    "aliases",
    [{"event_time": ("device_id",)}, {"message_id": ("ts",)}, {"firmware": ("device",)}],
)
def test_an_alias_cannot_mean_two_fields(aliases):
    [[taken]] = aliases.values()
    with pytest.raises(ValueError, match=f"an alias takes the name of another field: {taken}$"):
        contract(channel("a"), **aliases)


def test_a_field_that_eddyline_fills_in_has_no_aliases():
    with pytest.raises(ValueError, match=r"^aliases of a field that no device sends: site$"):
        contract(channel("a"), site=("room",))


def test_the_fields_that_a_device_sends_are_standard_ones():
    assert set(SENT_FIELDS) < standard_fields()


def test_env_telemetry_declares_two_booleans_and_five_numbers():
    kinds = [(c.name, c.kind) for c in load_contract("env_telemetry").channels]
    assert kinds[-2:] == [("light", "boolean"), ("motion", "boolean")]
    assert [name for name, kind in kinds if kind == "double"] == [
        "temperature",
        "humidity",
        "co",
        "lpg",
        "smoke",
    ]


def test_what_is_wrong_in_a_file_is_told_with_the_file_s_name(tmp_path):
    path = tmp_path / "tank.avsc"
    path.write_text(json.dumps({"type": "record", "name": "tank", "fields": []}))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: no channel declared"):
        load_contract(str(path))


def test_a_file_that_is_not_text_is_refused_with_its_name(tmp_path):
    path = tmp_path / "tank.avsc"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: "):
        load_contract(str(path))
