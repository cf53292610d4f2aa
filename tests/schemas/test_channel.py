"""Channel files: what they declare and how they are refused."""

import json
import math
import re

import pytest

from eddyline.schemas.channel import Channel, channel_file_text, read_channel_file
from eddyline.schemas.record import standard_fields

LEVEL = {"name": "level", "type": "double", "unit": "m", "minimum": 0, "maximum": 9}


def text(*fields, **record):
    return json.dumps({"type": "record", "name": "tank", "fields": list(fields), **record})


def read(*fields):
    return read_channel_file(text(*fields), standard_fields())


def test_channels_keep_the_order_of_the_file():
    file = read({**LEVEL, "name": "b"}, {**LEVEL, "name": "a"})
    assert [channel.name for channel in file.channels] == ["b", "a"]
    assert file.name == "tank"


def test_a_channel_carries_everything_that_the_file_says():
    [channel] = read({**LEVEL, "doc": "Above the gauge.", "out_of_range": "keep"}).channels
    assert channel == Channel("level", 0.0, 9.0, "double", "m", keep=True, doc="Above the gauge.")


@pytest.mark.parametrize(
    ("avro", "kind"),
    [
        ("double", "double"),
        ("float", "double"),
        ("int", "long"),
        ("long", "long"),
        (["null", "double"], "double"),
        (["long", "null"], "long"),
    ],
)
def test_every_numeric_avro_type_is_a_kind(avro, kind):
    assert read({**LEVEL, "type": avro}).channels[0].kind == kind


def test_a_boolean_needs_no_limits_and_gets_zero_and_one():
    [channel] = read({"name": "motion", "type": "boolean"}).channels
    assert (channel.kind, channel.minimum, channel.maximum) == ("boolean", 0.0, 1.0)


def test_a_channel_without_a_unit_is_a_plain_number():
    [channel] = read({"name": "n", "type": "long", "minimum": 0, "maximum": 1}).channels
    assert channel.unit == "1"


@pytest.mark.parametrize(("policy", "keep"), [("refuse", False), ("keep", True)])
def test_the_out_of_range_policy_is_read(policy, keep):
    assert read({**LEVEL, "out_of_range": policy}).channels[0].keep is keep


def test_what_is_out_of_range_is_refused_by_default():
    assert read(LEVEL).channels[0].keep is False


def test_aliases_of_a_standard_field_are_kept_and_only_where_they_are_given():
    file = read({"name": "event_time", "aliases": ["t", "when"]}, {"name": "device_id"}, LEVEL)
    assert file.aliases == {"event_time": ("t", "when")}


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("{", "not JSON: Expecting property name"),
        ("[]", "not an Avro record: "),
        ('"record"', "not an Avro record: "),
        ('{"type": "enum", "fields": []}', "not an Avro record: "),
        ('{"type": "record", "fields": {}}', '"fields" is a list of objects, each with a "name"'),
        ('{"type": "record", "fields": ["level"]}', '"fields" is a list of objects'),
        ('{"type": "record", "fields": [{"type": "double"}]}', '"fields" is a list of objects'),
        ('{"type": "record"}', "no channel declared: a field that is not a standard one"),
        (text({"name": "device_id", "type": "string"}), "no channel declared"),
        (text(LEVEL, LEVEL), "declared twice: level"),
        (text({"name": "firmware"}, {"name": "firmware"}, LEVEL), "declared twice: firmware"),
        (text({"name": "event_time", "aliases": ["level"]}, LEVEL), "declared twice: level"),
        (
            text(
                {"name": "event_time", "aliases": ["t"]},
                {"name": "device_id", "aliases": ["t"]},
                LEVEL,
            ),
            "declared twice: t",
        ),
        (
            text({"name": "event_time", "aliases": "time"}, LEVEL),
            "field 'event_time': \"aliases\" is a list of names, not 'time'",
        ),
        (
            text({"name": "event_time", "aliases": [""]}, LEVEL),
            "field 'event_time': \"aliases\" is a list of names, not ['']",
        ),
        (
            text({**LEVEL, "aliases": ["lvl"]}),
            "channel 'level': only a standard field has \"aliases\"",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_reason(declared, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        read_channel_file(declared, standard_fields())


NEEDED = 'channel \'level\': its physical limits "minimum" and "maximum" are needed'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Level"}, "channel 'Level': a name is a lower-case letter and then"),
        ({"name": "9"}, "channel '9': a name is a lower-case letter and then"),
        ({"name": "größe"}, "channel 'größe': a name is a lower-case letter and then"),
        ({"name": "level\n"}, "channel 'level\\n': a name is a lower-case letter and then"),
        ({"name": "a" * 64}, f"channel '{'a' * 64}': a name is a lower-case letter and then"),
        ({"name": ""}, "channel '': a name is a lower-case letter and then"),
        (
            {"type": "string"},
            "channel 'level': type 'string' is none of double, float, int, long, boolean",
        ),
        ({"type": ["null", "bytes"]}, "channel 'level': type 'bytes' is none of"),
        ({"type": ["null"]}, "channel 'level': type None is none of"),
        ({"type": {"type": "array", "items": "double"}}, "channel 'level': type {'type': 'array'"),
        ({"type": None}, "channel 'level': type None is none of"),
        ({"minimum": None}, NEEDED),
        ({"maximum": None}, NEEDED),
        ({"maximum": "9"}, NEEDED),
        ({"minimum": False}, NEEDED),
        ({"minimum": 9}, "channel 'level': minimum 9.0 is not below maximum 9.0"),
        ({"minimum": 10}, "channel 'level': minimum 10.0 is not below maximum 9.0"),
        ({"minimum": math.nan}, "channel 'level': minimum nan is not below maximum 9.0"),
        ({"maximum": math.inf}, "channel 'level': limits beyond ±2^62 cannot be summed exactly"),
        ({"maximum": 2**63}, "channel 'level': limits beyond ±2^62"),
        ({"minimum": -(10**400)}, "channel 'level': limits beyond ±2^62"),
        (
            {"out_of_range": "clip"},
            'channel \'level\': "out_of_range" is "refuse" or "keep", not \'clip\'',
        ),
        (
            {"out_of_range": True},
            'channel \'level\': "out_of_range" is "refuse" or "keep", not True',
        ),
    ],
)
def test_a_channel_that_is_wrong_is_refused_with_its_name(change, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        read({**LEVEL, **change})


def test_the_longest_name_and_the_widest_limits_are_taken():
    widest = {"name": "a" * 63, "minimum": -(2**62), "maximum": 2**62}
    assert read({**LEVEL, **widest}).channels[0].maximum == 2.0**62


def test_a_shipped_schema_is_found_by_its_name():
    assert json.loads(channel_file_text("env_telemetry"))["name"] == "env_telemetry"


def test_a_schema_file_is_found_by_its_path(tmp_path):
    path = tmp_path / "tank.avsc"
    path.write_text(text(LEVEL), encoding="utf-8")
    assert channel_file_text(str(path)) == text(LEVEL)


def test_a_schema_file_that_is_not_there_names_those_that_are():
    message = "no schema file 'tank.avsc'; shipped: env_telemetry, room"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        channel_file_text("tank.avsc")
