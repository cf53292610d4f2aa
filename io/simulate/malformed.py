"""What arrives in place of a reading: every way to be unusable, each with a name.

Every kind is beyond doubt: no reader that keeps the contract (JSON in UTF-8, typed, a device id,
an event time with a zone, values a sensor can have) can make a reading of it. What a lenient reader
might take, numbers written as text or a key that is there twice, is not among them.
No payload holds a newline, so that each is one line of a file.
"""

from collections.abc import Callable

import numpy as np

from eddyline.io.simulate.payloads import Fields, rendered
from eddyline.io.simulate.quantities import QUANTITIES

IN_GATHERED = "bad_entry"
"""The kind that only an array of readings can have: one entry of it is no reading."""

_LEFT_OUT = ""


def _of_a_channel(*texts: str) -> tuple[Fields, ...]:
    return tuple({quantity.name: text} for quantity in QUANTITIES for text in texts)


# One member is another, or left out.
_MEMBERS: dict[str, tuple[Fields, ...]] = {
    "not_a_number": _of_a_channel("NaN"),
    "infinity": _of_a_channel("Infinity", "-Infinity"),
    "number_too_large": _of_a_channel("1e999", "-1e400"),
    "hundreds_of_digits": _of_a_channel("9" * 400),
    "text_for_number": _of_a_channel('"high"', '"--"'),
    "boolean_for_number": _of_a_channel("true", "false"),
    "list_for_number": _of_a_channel("[20.5]"),
    "nested_channel": _of_a_channel('{"value":20.5,"unit":"?"}'),
    "deep_nesting": _of_a_channel("[" * 1500 + "]" * 1500),
    "decimal_comma": _of_a_channel("20,5"),
    "bare_word": _of_a_channel("n/a", "undefined", "None"),
    "temperature_out_of_range": ({"temperature": "-127.0"}, {"temperature": "999.9"}),
    "humidity_out_of_range": ({"humidity": "-6.0"}, {"humidity": "158.4"}),
    "pressure_out_of_range": ({"pressure": "0.0"}, {"pressure": "101325.0"}),
    "no_device_id": ({"device_id": _LEFT_OUT},),
    "null_device_id": ({"device_id": "null"},),
    "empty_device_id": ({"device_id": '""'},),
    "number_device_id": ({"device_id": "17"},),
    "list_device_id": ({"device_id": '["a","b"]'},),
    "oversized_device_id": ({"device_id": '"' + "x" * 10_000 + '"'},),
    "lone_surrogate": ({"device_id": r'"mill-\ud800"'},),
    "no_timestamp": ({"timestamp": _LEFT_OUT},),
    "null_timestamp": ({"timestamp": "null"},),
    "unreadable_timestamp": ({"timestamp": '"yesterday"'}, {"timestamp": '"05/01/26 7 Uhr"'}),
    "empty_timestamp": ({"timestamp": '""'},),
    "impossible_date": (
        {"timestamp": '"2026-02-30T12:00:00Z"'},
        {"timestamp": '"2026-13-01T25:61:00Z"'},
    ),
    "boolean_timestamp": ({"timestamp": "true"},),
    "far_future": (
        {"timestamp": '"2099-01-01T00:00:00Z"'},
        {"timestamp": '"9999-12-31T23:59:59Z"'},
    ),
    "before_1990": (
        {"timestamp": '"1970-01-01T00:00:00Z"'},
        {"timestamp": '"1985-06-01T12:00:00Z"'},
    ),
    "epoch_zero": ({"timestamp": "0"},),
    "negative_epoch": ({"timestamp": "-86400000"},),
}


# The whole payload is something else.
_CONSTANTS: dict[str, tuple[bytes, ...]] = {
    "empty": (b"",),
    "plain_text": (b"temperature=21.5;humidity=40;pressure=1013",),
    "html_page": (b"<html><body><h1>502 Bad Gateway</h1></body></html>",),
    "no_object": (b'"ok"', b"42", b"null", b"true"),
    "empty_object": (b"{}",),
    "empty_array": (b"[]",),
}


def _cut(payload: bytes, rng: np.random.Generator) -> bytes:
    return payload[: int(rng.integers(1, len(payload)))]


def _noise(_payload: bytes, rng: np.random.Generator) -> bytes:
    # 0xFF is in no UTF-8 text, so no luck makes JSON of it.
    return b"\xff" + rng.bytes(int(rng.integers(16, 200))).replace(b"\n", b"\xff")


# The payload was damaged on its way, or written by something that does not know JSON.
_DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "truncated": _cut,
    "random_bytes": _noise,
    "single_quotes": lambda payload, _: payload.replace(b'"', b"'"),
    "trailing_comma": lambda payload, _: payload[:-1] + b",}",
    "two_in_one": lambda payload, _: payload + payload,
    "invalid_utf8": lambda payload, _: payload.replace(b':"', b':"\xff\xfe', 1),
    "utf16": lambda payload, _: payload.decode().encode("utf-16"),
    "timestamp_without_zone": lambda payload, _: payload.replace(b'Z"', b'"', 1),
}

SINGLE_KINDS: tuple[str, ...] = (*_CONSTANTS, *_DAMAGES, *_MEMBERS)
"""The kinds of a message that was one reading."""

KINDS: tuple[str, ...] = (*SINGLE_KINDS, IN_GATHERED)

_ENTRIES = (b"null", b"17", b'"offline"', b"[]", b"{}", b'{"device_id":null}')


def malformed(kind: str, reading: Fields, rng: np.random.Generator) -> bytes:
    r"""The reading, broken in that way.

    Args:
        kind: One of `SINGLE_KINDS`.
        reading: A whole reading, its timestamp in RFC 3339.
        rng: Which of a kind's forms is taken.

    Raises:
        KeyError: For another kind.

    Example:
        >>> reading = {"device_id": '"mill-001"', "timestamp": '"2026-01-05T06:00:00.000Z"'}
        >>> malformed("timestamp_without_zone", reading, np.random.default_rng(0))
        b'{"device_id":"mill-001","timestamp":"2026-01-05T06:00:00.000"}'
    """
    if kind in _CONSTANTS:
        constants = _CONSTANTS[kind]
        return constants[int(rng.integers(len(constants)))]
    if kind in _DAMAGES:
        return _DAMAGES[kind](rendered(reading), rng)
    forms = _MEMBERS[kind]
    changed = {**reading, **forms[int(rng.integers(len(forms)))]}
    return rendered({name: text for name, text in changed.items() if text != _LEFT_OUT})


def bad_entry(rng: np.random.Generator) -> bytes:
    """An array's entry that is no reading."""
    return _ENTRIES[int(rng.integers(len(_ENTRIES)))]
