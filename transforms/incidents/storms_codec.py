"""A site's storms as bytes: one state value, versioned."""

import msgspec

from eddyline.transforms.incidents.storms import SiteState

MAGIC = b"EDST"
VERSION = 1
_HEAD = MAGIC + bytes([VERSION])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SiteState)


class StormsRefused(ValueError):
    """State that is no site's storms of a known version: the job must not go on over it."""


def encode_storms(state: SiteState) -> bytes:
    """The state's bytes: magic, version, then msgpack. A field that is new needs a default.

    Example:
        >>> decode_storms(encode_storms(SiteState(cursor=7))).cursor
        7
    """
    return _HEAD + _encoder.encode(state)


def decode_storms(encoded: bytes) -> SiteState:
    """The state that `encode_storms` was given.

    Raises:
        StormsRefused: The bytes are no such state, truncated, or of a version from the future.
    """
    if not encoded.startswith(_HEAD):
        raise StormsRefused(f"no storms of version {VERSION}: it begins with {encoded[:5]!r}")
    try:
        return _decoder.decode(encoded[len(_HEAD) :])
    except msgspec.DecodeError as error:
        raise StormsRefused(f"{len(encoded)} bytes, truncated or damaged: {error}") from error
