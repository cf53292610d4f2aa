"""Why something could not be used: the reasons of a dead letter."""

import re
from typing import NamedTuple

import msgspec

_PATH = re.compile(r" - at `([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_LIMIT = re.compile(r"Number out of range|Expected `(float|int)( \| null)?` [<>]=")


class Reject(NamedTuple):
    """One refused message or reading.

    Args:
        reason: A code of the list in docs/data-formats.md.
        path: The field, as a JSON path, or None where it is not one field's fault.
        error: The error in words.
        payload: The bytes that were refused.
    """

    reason: str
    path: str | None
    error: str
    payload: bytes


class Refused(ValueError):
    """A row that decodes and cannot be believed, with its reason and path."""

    def __init__(self, reason: str, path: str | None, words: str) -> None:
        super().__init__(words)
        self.reason = reason
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
    if missing := _MISSING.search(words):
        return Reject("missing_field", f"$.{missing[1]}", words, payload)
    path = found[1] if (found := _PATH.search(words)) else "$"
    reason = "out_of_range" if _LIMIT.search(words) else "wrong_type"
    return Reject(reason, path, words, payload)
