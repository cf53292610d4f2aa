"""Alerting: how the job tells people, by the policy of its settings."""

import time
from dataclasses import dataclass
from functools import partial

from eddyline.io.alerts.senders import open_sender
from eddyline.pipeline.settings import Settings
from eddyline.transforms.notify import CurrentAlerting, Delivery
from eddyline.transforms.policy.policy import DEFAULT, Policy, read_policy
from eddyline.transforms.reloaded import Reloaded


@dataclass(frozen=True)
class NoFile:
    """The policy where there is no file: nobody is told."""

    def current(self) -> Policy:
        """Always the same."""
        return DEFAULT


def delivery(settings: Settings) -> Delivery:
    """How alerts are delivered; a worker opens the policy, and each channel when it first sends.

    Example:
        >>> delivery(Settings()).open_policy()
        NoFile()
    """
    path = settings.policy if settings.notify else ""
    opened = partial(open_policy, path, settings.policy_refresh)
    # The wall clock: what waits to be told outlives the worker that put it there.
    return Delivery(opened, open_sender, time.time, time.sleep)


def open_policy(path: str, refresh: float) -> CurrentAlerting:
    """The policy file, looked at again while the job runs.

    Raises:
        ValueError: The file is wrong at the start.
    """
    if not path:
        return NoFile()
    return Reloaded(path, read_policy, refresh, time.monotonic, "policy")
