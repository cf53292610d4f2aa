"""Places in a shard, in words that a checkpoint keeps."""

from typing import Any

from eddyline.io.sources.begin import Begin

OLDEST = "TRIM_HORIZON"
_AFTER = "AFTER_SEQUENCE_NUMBER"
_TIME = "AT_TIMESTAMP"
DIGITS = 56  # of the service's sequence numbers


def first_place(begin: Begin, now: int | None) -> str:
    """Where shards are begun; the latest message is fixed as a time: a restart finds the same.

    Example:
        >>> first_place(Begin("latest"), now=7_000_000)
        'AT_TIMESTAMP:7.000'
    """
    if begin.kind == "earliest":
        return OLDEST
    micros = begin.time if begin.kind == "time" else now
    if micros is None:
        raise ValueError("the service told no time: begin at one, or at the earliest")
    return f"{_TIME}:{micros / 1_000_000:.3f}"


def after(sequence_number: str) -> str:
    """The place behind a record."""
    return f"{_AFTER}:{sequence_number}"


def iterator_arguments(place: str) -> dict[str, Any]:
    """What GetShardIterator wants to know about it.

    Example:
        >>> iterator_arguments(after("49"))
        {'ShardIteratorType': 'AFTER_SEQUENCE_NUMBER', 'StartingSequenceNumber': '49'}
    """
    kind, _, value = place.partition(":")
    if kind == _AFTER:
        return {"ShardIteratorType": kind, "StartingSequenceNumber": value}
    if kind == _TIME:
        return {"ShardIteratorType": kind, "Timestamp": float(value)}
    return {"ShardIteratorType": OLDEST}


def position(sequence_number: str, part: int | None = None) -> str:
    """A message's position: compares as text in the shard's order; `part` inside an aggregate.

    Example:
        >>> position("7")[-3:], position("7", 12)[-7:]
        ('007', '7.00012')
    """
    padded = sequence_number.zfill(DIGITS)
    return padded if part is None else f"{padded}.{part:05d}"
