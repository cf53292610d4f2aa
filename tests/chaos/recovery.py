"""How long a job needs after an outage until it has caught up with what was sent."""

import time
from contextlib import contextmanager

LOOK = 15.0  # s over which good days are looked at: some rounds of the lake's files
NOISE = 5.0  # s by which they differ: as long as a row can wait for its file


class Recovery:
    """Measures one outage of one job.

    A reading is in the lake 15 to 25 s after it was sent (it waits for its order and for its file),
    also on a good day. `usual` is the most of that seen before the outage; the job has caught up
    once the oldest reading that was sent and is not in the lake is no older than that again, but
    for `NOISE`.

    Attributes:
        usual: Seconds behind on a good day.
        outage: Seconds that the outage lasted.
        behind: Seconds behind at its end.
        recovered: Seconds from its end until the job had caught up.
    """

    def __init__(self, running, feed):
        self.running, self.feed = running, feed
        self.usual = self.outage = self.behind = self.recovered = 0.0

    def steady(self, seconds=150):
        """Wait for good days: the job no longer catches up, as it does after its start."""
        seen = []

        def steady():
            self.feed.check()
            now = time.monotonic()
            seen.append((now, self.running.behind(self.feed)))
            seen[:] = [(at, behind) for at, behind in seen if at > now - LOOK - 1]
            self.usual = max(behind for _, behind in seen)
            return now - seen[0][0] >= LOOK and self.usual < 40

        self.running.until(steady, seconds, "steady")

    @contextmanager
    def outage_of(self, seconds):
        """An outage of so long: enter it last, so that it ends before what makes the outage."""
        begun = time.monotonic()
        yield
        while time.monotonic() < begun + seconds:
            assert self.running.process.poll() is None, self.running.words()
            self.feed.check()
            time.sleep(0.2)
        self.outage = time.monotonic() - begun

    def caught_up(self, name, forgiven=frozenset(), since=None):
        """Wait until it has caught up, and assert that it took no longer than the outage.

        Args:
            name: Of the row, for the print.
            forgiven: Readings that were lost with the service.
            since: When sending went on, where nothing could be sent meanwhile: something of after
                it has to be there, too.
        """
        begun = time.monotonic()
        self.behind = self.running.behind(self.feed, forgiven)

        def caught_up():
            self.feed.check()
            if since is not None:
                sent = {one for one, at in list(self.feed.sent.items()) if at > since}
                if sent.isdisjoint(self.running.readings()):
                    return False
            return self.running.behind(self.feed, forgiven) <= self.usual + NOISE

        self.running.until(
            caught_up,
            self.outage,
            f"{name}: caught up (usual {self.usual:.0f} s, was {self.behind:.0f} s behind)",
        )
        self.recovered = time.monotonic() - begun
        print(
            f"\n{name}: outage {self.outage:.0f} s, {self.behind:.0f} s behind at its end, "
            f"caught up after {self.recovered:.1f} s ({self.usual:.0f} s behind is usual)"
        )
        return self.recovered
