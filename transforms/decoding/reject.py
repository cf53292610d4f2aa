"""Why something could not be used: the reasons of a dead letter."""

import re
from typing import Literal, NamedTuple

import msgspec

Reason = Literal[
    "damaged_file",
    "bad_row",
    "empty",
    "too_large",
    "too_many",
    "too_deep",
    "bad_gzip",
    "bad_avro",
    "not_utf8",
    "malformed",
    "missing_field",
    "wrong_type",
    "wrong_length",
    "out_of_range",
    "bad_device_id",
    "bad_event_time",
    "event_time_past",
    "event_time_future",
]
"""Every code; docs/data-formats.md says what each means."""

_PATH = re.compile(r" - at `([^`]*)`$")
_LIMIT = re.compile(r"out of range|Expected `(float|int)( \| null)?` [<>]=")
_LENGTH = re.compile(r"Expected `str` of length")
_TIME = re.compile(r"RFC3339|timezone")


class Reject(NamedTuple):
    """One refused message or reading.

    Args:
        reason: Its code.
        path: The field, as a JSON path, or None where it is not one field's fault.
        error: The error in words.
        payload: The bytes that were refused.
    """

    reason: Reason
    path: str | None
    error: str
    payload: bytes


class Refused(ValueError):
    """A row that decodes and cannot be believed, with its reason and path."""

    def __init__(self, reason: Reason, path: str | None, words: str) -> None:
        super().__init__(words)
        self.reason: Reason = reason
        self.path = path


def reject(error: Exception, payload: bytes) -> Reject:
    """The reason code, path and words of what a decoder raised.

    Example:
        >>> error = msgspec.ValidationError("Expected `float`, got `str` - at `$.temperature`")
        >>> reject(error, b"")[:2]
        ('wrong_type', '$.temperature')
    """
    words = str(error)[:500]
    if isinstance(error, Refused):
        return Reject(error.reason, error.path, words, payload)
    if isinstance(error, RecursionError):
        return Reject("too_deep", None, words, payload)
    if isinstance(error, UnicodeDecodeError):
        return Reject("not_utf8", None, words, payload)
    if not isinstance(error, msgspec.ValidationError):
        return Reject("malformed", None, words, payload)
    path = found[1] if (found := _PATH.search(words)) else "$"
    return Reject(_reason(words), path, words, payload)


def _reason(words: str) -> Reason:
    """The code of a `ValidationError`; msgspec tells them apart in its words alone."""
    if _LIMIT.search(words):
        return "out_of_range"
    if _LENGTH.search(words):
        return "wrong_length"
    return "bad_event_time" if _TIME.search(words) else "wrong_type"
