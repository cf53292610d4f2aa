"""Attempts: some alerts of one channel, one after the other, each once."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eddyline.schemas.alert import Alert, Failed, Sender


class Attempt(NamedTuple):
    """How one attempt ended.

    Args:
        key: Of the alert.
        failed: Why it was not delivered; None where it was.
        status: The peer's own code, or the error's name.
        began: Seconds since the epoch.
        ended: Seconds since the epoch.
        tried: False where it was not made, because one before it failed.
    """

    key: str
    failed: Failed | None
    status: str
    began: float
    ended: float
    tried: bool = True


def attempt_each(
    alerts: Sequence[Alert], sender: Sender, clock: Callable[[], float]
) -> Iterator[Attempt]:
    """Try the alerts in order, up to the first failure that may pass; gives one `Attempt` for each.

    What comes after that one is not tried: a channel that hangs costs one timeout, not many.
    """
    passing = False
    for alert in alerts:
        began = clock()
        if passing:
            yield Attempt(alert.key, None, "untried", began, began, tried=False)
            continue
        try:
            attempt = Attempt(alert.key, None, sender.send(alert), began, clock())
        except Failed as failed:
            attempt = Attempt(alert.key, failed, failed.status, began, clock())
        yield attempt
        passing = attempt.failed is not None and not attempt.failed.permanent
