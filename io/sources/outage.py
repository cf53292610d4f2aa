"""Outages of a source: waited out, and told in the log."""

import logging

LOG = logging.getLogger(__name__)
SAY_AFTER = 5.0  # s; a service that throttles for a moment is no news
SAY_AGAIN = 60.0  # s


class Outage:
    """What a reader says while its service does not answer it.

    Guarantee: an outage that lasts is one warning after some seconds, one more every minute and
    where it turns into another one, and one when it is over; what passes at once is none.

    Args:
        name: Of the source.

    Example:
        >>> outage = Outage("kinesis:telemetry")
        >>> outage.goes_on(100.0, "throttled")
        0.0
        >>> outage.goes_on(103.0, "throttled")
        3.0
        >>> outage.over(104.0)
        >>> outage.goes_on(200.0, "throttled")
        0.0
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._since: float | None = None
        self._say_at = 0.0
        self._said = False
        self._kind = ""

    def goes_on(self, now: float, why: str, kind: str = "") -> float:
        """The service did not answer; gives for how long it has not, in seconds.

        Args:
            now: By a clock that only moves forward.
            why: The trouble in words.
            kind: Its sort; one of another sort than that before is said at once.
        """
        if self._since is None:
            self._since, self._say_at = now, now + SAY_AFTER
        elif self._said and kind != self._kind:
            self._say_at = now
        self._kind = kind
        lasted = now - self._since
        if now >= self._say_at:
            self._said, self._say_at = True, now + SAY_AGAIN
            LOG.warning("%s: no answer for %.0f s, trying again: %s", self.name, lasted, why)
        return lasted

    def over(self, now: float) -> None:
        """It answered."""
        if self._said and self._since is not None:
            LOG.warning("%s: answers again, after %.0f s", self.name, now - self._since)
        self._since, self._said = None, False
