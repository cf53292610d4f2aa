"""Resend: what a service did not take for the moment, until it does or patience ends."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from eddyline.io.backoff import waits

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0


class Problem(NamedTuple, Generic[T]):
    """An item that was not taken, with a reason code and the service's words."""

    item: T
    reason: str
    error: str


@dataclass
class Outcome(Generic[T]):
    """What one attempt came to; an item in neither list was taken.

    Attributes:
        refused: For good.
        again: For the moment: the service is busy, away, or refused them for others' sake.
    """

    refused: list[Problem[T]] = field(default_factory=list[Problem[T]])
    again: list[Problem[T]] = field(default_factory=list[Problem[T]])


def resend(
    attempt: Callable[[Sequence[T]], Outcome[T]],
    items: Sequence[T],
    patience: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    refusing: Callable[[str], None] = lambda _: None,
) -> Outcome[T]:
    """Attempt until every item is taken or refused, or patience ends.

    Guarantee: the order of the items is kept from attempt to attempt. Waits double from 0.2 s to
    5 s, each drawn at random from its upper half so that workers do not come back all at once; the
    last attempt is made at the end of the patience and not before.

    Args:
        attempt: Sends items once; it raises what no repetition can mend.
        items: What to send.
        patience: Seconds without a single item taken until it gives up.
        clock: Seconds that only grow.
        sleep: Waits some seconds.
        refusing: Told the service's words before each wait.

    Returns:
        What was refused, and in `again` what was left when patience ended.

    Example:
        >>> answers = iter([Outcome(again=[Problem("b", "busy", "503")]), Outcome()])
        >>> resend(lambda items: next(answers), ["a", "b"], 60, sleep=lambda s: None).again
        []
    """
    refused: list[Problem[T]] = []
    backoff, failing_since = waits(FIRST_WAIT, LONGEST_WAIT), None
    while True:
        outcome = attempt(items)
        refused += outcome.refused
        before, items = len(items), [problem.item for problem in outcome.again]
        if not items:
            return Outcome(refused)
        if outcome.refused:
            continue  # the rest was held up by them
        now = clock()
        if failing_since is None or len(items) < before:
            backoff, failing_since = waits(FIRST_WAIT, LONGEST_WAIT), now
        left = failing_since + patience - now
        if left <= 0:
            return Outcome(refused, outcome.again)
        refusing(outcome.again[0].error)
        sleep(min(next(backoff), left))
