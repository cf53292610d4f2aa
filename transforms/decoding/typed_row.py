"""The typed form of one reading as it is sent: what msgspec checks while it decodes."""

from datetime import datetime
from math import ceil, floor
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from eddyline.schemas.channel import Channel
from eddyline.schemas.record import Contract

MAX_ID = 256

_Id: Any = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_Text: Any = Annotated[str, Meta(max_length=MAX_ID)]
_Time: Any = Annotated[datetime, Meta(tz=True)] | int | float
_FIELDS: dict[str, Any] = {
    "device_id": _Id,
    "event_time": _Time,
    "message_id": _Text | int | None,
    "firmware": _Text | None,
}


def typed_row(contract: Contract) -> type[msgspec.Struct]:
    """A Struct class with the standard fields, each of their aliases, and the channels.

    A field that was not sent is `UNSET` (standard fields) or None (channels). A channel's physical
    limits are part of its type, unless the schema keeps what is outside. Other fields are passed
    over. Of a field that is sent twice the last value counts, but each has to be of its type.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> row = typed_row(load_contract("room"))
        >>> msgspec.json.decode(b'{"device": "a", "ts": 1594598424, "humidity": 40}', type=row).ts
        1594598424
    """
    fields: list[Any] = [
        (name, kind | UnsetType, UNSET)
        for standard, kind in _FIELDS.items()
        for name in contract.names_of(standard)
    ]
    fields += [(channel.name, _channel_type(channel), None) for channel in contract.channels]
    return msgspec.defstruct("TypedRow", fields, gc=False)


def _channel_type(channel: Channel) -> Any:
    low, high = channel.minimum, channel.maximum
    kind: Any
    if channel.kind == "boolean":
        kind = bool
    elif channel.kind == "double":
        kind = float if channel.keep else Annotated[float, Meta(ge=low, le=high)]
    elif channel.keep:
        kind = Annotated[int, Meta(ge=-(2**62), le=2**62)]  # what 64 bits hold, with room
    else:
        kind = Annotated[int, Meta(ge=ceil(low), le=floor(high))]
    return kind | None
