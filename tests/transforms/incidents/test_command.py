"""Commands: what is believed of an operator's message, and what is a dead letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.decoding.reject import Reject
from eddyline.transforms.incidents.command import (
    Command,
    command_batch,
    commands_of,
    is_commands,
    parse_command,
)

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
GOOD = {
    b"incident_id": b'"ae6b"',
    b"device_id": b'"a"',
    b"action": b'"false_alarm"',
    b"event_time": b'"2026-01-02T00:00:00Z"',
}


def payload(**changed):
    fields = GOOD | {k.encode(): v for k, v in changed.items()}
    return b"{" + b",".join(b'"%s":%s' % (k, v) for k, v in fields.items() if v) + b"}"


def parse(sent, arrival=T0):
    return parse_command(sent, arrival, TimeBounds())


def test_a_command_has_an_incident_a_device_an_action_and_a_time():
    assert parse(payload()) == Command(T0, "a", "ae6b", "false_alarm")


@pytest.mark.parametrize("time", [b"1767312000", b"1767312000000", b'"2026-01-02T01:00:00+01:00"'])
def test_its_time_is_read_as_that_of_a_reading(time):
    assert parse(payload(event_time=time)).time == T0


def test_who_and_which_kind_may_be_said_and_what_else_is_said_is_left_alone():
    command = parse(payload(by=b'"ann"', kind=b'"silent"', reason=b"[1, 2]"))
    assert (command.by, command.kind) == ("ann", "silent")


@pytest.mark.parametrize(
    ("sent", "reason", "path"),
    [
        (b"", "empty", None),
        (b" \n", "empty", None),
        (b"{", "malformed", None),
        (b"[]", "wrong_type", "$"),
        (b'{"x":' * 3000, "too_deep", None),
        (b"x" * 20_000, "too_large", None),
        (b'"\xff"', "wrong_type", "$"),
        (payload(device_id=None), "missing_field", "$"),
        (payload(event_time=None), "missing_field", "$"),
        (payload(device_id=b"7"), "wrong_type", "$.device_id"),
        (payload(device_id=b'""'), "wrong_length", "$.device_id"),
        (payload(incident_id=b'"' + b"x" * 300 + b'"'), "wrong_length", "$.incident_id"),
        (payload(action=b'"delete"'), "wrong_type", "$.action"),
        (payload(event_time=b'"yesterday"'), "bad_event_time", "$.event_time"),
        (payload(event_time=b"0"), "bad_event_time", "$.event_time"),
        (payload(event_time=b'"1970-01-01T00:00:00Z"'), "event_time_past", "$.event_time"),
        (payload(event_time=b'"9999-01-01T00:00:00Z"'), "event_time_future", "$.event_time"),
    ],
)
def test_what_is_no_command_is_refused_with_its_reason(sent, reason, path):
    refused = parse(sent)
    assert isinstance(refused, Reject), refused
    assert (refused.reason, refused.path, refused.payload) == (reason, path, sent)


@given(st.binary(max_size=200) | st.sampled_from([payload()[:n] for n in range(80)]))
def test_any_bytes_are_a_command_or_a_reject(sent):
    assert isinstance(parse(sent), Command | Reject)


COMMANDS = st.builds(
    Command,
    st.integers(0, 2**60),
    st.text(min_size=1, max_size=5),
    st.text(min_size=1, max_size=5),
    st.sampled_from(("acknowledge", "confirmed", "false_alarm")),
    st.none() | st.text(max_size=3),
    st.none() | st.text(max_size=3),
)


@given(st.lists(COMMANDS, max_size=5))
def test_commands_cross_a_shuffle_as_they_are(commands):
    batch = command_batch(commands)
    assert is_commands(batch)
    assert commands_of(batch) == commands


def test_readings_are_no_commands(readings):
    assert not is_commands(readings([]))
