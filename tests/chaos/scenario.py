"""What devices do to a job, one trouble after the other, and how far behind it is in each."""

import time
from contextlib import contextmanager
from typing import NamedTuple


class Phase(NamedTuple):
    """One stretch of a scenario.

    Attributes:
        begun: Seconds since the epoch.
        ended: The same.
        behind: How many seconds behind the healthy devices' readings were, sorted.
    """

    begun: float
    ended: float
    behind: list[float]

    @property
    def usual(self):
        """The median."""
        return self.behind[len(self.behind) // 2]


class Scenario:
    """Which phase it is, and what was measured in each; `name` is what a feed's shape asks for.

    Args:
        running: The job.
        healthy: Whether a device is one of those that must not notice anything.
    """

    def __init__(self, running, healthy):
        self.running, self.healthy = running, healthy
        self.name = "history"
        self.phases = {}

    @contextmanager
    def phase(self, name, feed, seconds):
        """Be in a phase for so long, and look all the while."""
        begun, behind = time.time(), []
        self.name = name
        yield
        while time.time() < begun + seconds:
            feed.check()
            assert self.running.process.poll() is None, self.running.words()
            behind.append(self.running.behind(feed, device=self.healthy))
            time.sleep(0.5)
        self.phases[name] = Phase(begun, time.time(), sorted(behind))
        print(f"{name}: {self.phases[name].usual:.1f} s behind, at most {max(behind):.1f} s")
