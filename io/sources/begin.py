"""Where the reading of a stream begins."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Begin:
    """The oldest message that the stream still has, the next that arrives, or a time of arrival.

    Args:
        kind: Which of them.
        time: µs since the epoch, for `time`.
    """

    kind: Literal["earliest", "latest", "time"] = "earliest"
    time: int = 0


def begin_of(words: str) -> Begin:
    """`earliest`, `latest`, or an ISO time.

    Raises:
        ValueError: It is none of them, or a time without a zone.

    Example:
        >>> begin_of("2026-01-05T06:00:00Z")
        Begin(kind='time', time=1767592800000000)
        >>> begin_of("yesterday")
        Traceback (most recent call last):
        ValueError: begin: earliest, latest or a time such as 2026-01-05T06:00:00Z, not 'yesterday'
    """
    if words in ("earliest", "latest"):
        return Begin(words)
    try:
        time = datetime.fromisoformat(words)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(
            f"begin: earliest, latest or a time such as 2026-01-05T06:00:00Z, not {words!r}"
        )
    return Begin("time", (time - _EPOCH) // timedelta(microseconds=1))
