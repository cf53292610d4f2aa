"""Payloads as the text that SQS carries."""

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping

ENCODING = "eddyline-encoding"
_UNSENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def body_of(payload: bytes) -> tuple[str, dict[str, str]]:
    r"""The body, and the attributes that say how to read it: SQS refuses most control characters.

    Example:
        >>> body_of(b'{"device_id": "a"}')
        ('{"device_id": "a"}', {})
        >>> body_of(b"\xff")
        ('/w==', {'eddyline-encoding': 'base64'})
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or _UNSENDABLE.search(text):
        return b64encode(payload).decode() or "=", {ENCODING: "base64"}
    return text, {}


def payload_of(body: str, attributes: Mapping[str, str]) -> bytes:
    """The payload of a body; total over all bodies: what is not base64 is taken as it is.

    Example:
        >>> payload_of(*body_of(b""))
        b''
    """
    if attributes.get(ENCODING) != "base64":
        return body.encode("utf-8", "surrogatepass")
    try:
        return b"" if body == "=" else b64decode(body, validate=True)
    except (Error, ValueError):
        return body.encode("utf-8", "surrogatepass")
