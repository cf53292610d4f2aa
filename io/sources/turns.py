"""Turns: by what a queue's reader sees that the engine did not go on from where it stands."""

import os

READERS = 16  # of which a place tells


class Turns:
    """How often each reader of a queue has polled, as a progress tells it.

    A queue has no places. What a progress can say is which polls it includes; a reader that finds
    fewer of its own than it has done knows that the engine has gone back to a checkpoint, and that
    what it has received since will not be committed.

    Args:
        token: Tells this reader from all others.

    Example:
        >>> one = Turns("a")
        >>> place = one.done("")
        >>> place, one.went_back(place), one.went_back("")
        ('a:1', None, 0)
    """

    def __init__(self, token: str = "") -> None:
        self.token = token or os.urandom(6).hex()
        self.number = 0

    def went_back(self, place: str) -> int | None:
        """How many of this reader's polls hold; None where the engine goes on from the last one.

        A first poll that follows those of others is a going back as well: what they hold is lost.
        """
        polls = _polls(place)
        last = polls.get(self.token, 0)
        follows = self.number == 0 and bool(polls)
        return None if last == self.number and not follows else last

    def has_others(self, place: str) -> bool:
        """Whether other readers have polled before: what they hold comes back in its time."""
        return bool(_polls(place).keys() - {self.token})

    def done(self, place: str) -> str:
        """Count a poll, and give the place that tells of it."""
        self.number += 1
        polls = {**_polls(place), self.token: self.number}
        return ",".join(f"{token}:{number}" for token, number in [*polls.items()][-READERS:])


def _polls(place: str) -> dict[str, int]:
    pairs = (pair.split(":") for pair in place.split(",") if pair)
    return {token: int(number) for token, number in pairs}
