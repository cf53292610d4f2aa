"""Which columns of a table hold text, numbers or booleans, by the channel schema."""

from dataclasses import dataclass

from eddyline.schemas.record import Contract


@dataclass(frozen=True)
class Kinds:
    """What a column holds, by its name; a column that is in none is kept as it is.

    Args:
        text: Ids: text, whatever they look like.
        numbers: Channels, and event times that are numbers.
        booleans: Channels that are boolean.
    """

    text: frozenset[str]
    numbers: frozenset[str]
    booleans: frozenset[str]


def kinds_of(contract: Contract) -> Kinds:
    """The kinds of a contract's columns.

    Example:
        >>> from eddyline.schemas.record import load_contract
        >>> kinds = kinds_of(load_contract("room"))
        >>> "device" in kinds.text, "temperature" in kinds.numbers
        (True, True)
    """
    text = (contract.names_of(name) for name in ("device_id", "message_id", "firmware"))
    booleans = {channel.name for channel in contract.channels if channel.kind == "boolean"}
    numbers = {channel.name for channel in contract.channels} - booleans
    return Kinds(
        frozenset(name for names in text for name in names),
        frozenset(numbers | set(contract.names_of("event_time"))),
        frozenset(booleans),
    )
