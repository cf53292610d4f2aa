"""Backoff: how long to wait between the attempts at something that fails for the moment."""

import random
from collections.abc import Iterator


def waits(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait, without end: doubled from try to try up to the longest.

    Each is drawn at random from its upper half, so that workers do not come back all at once.

    Args:
        first: Seconds before the second attempt, at most.
        longest: Seconds that no wait exceeds.

    Example:
        >>> from itertools import islice
        >>> drawn = list(islice(waits(1.0, 4.0), 4))
        >>> [half <= wait <= 2 * half for wait, half in zip(drawn, (0.5, 1, 2, 2))]
        [True, True, True, True]
    """
    wait = first
    while True:
        yield wait * (0.5 + random.random() / 2)  # noqa: S311 no secret, only spread
        wait = min(2 * wait, longest)
