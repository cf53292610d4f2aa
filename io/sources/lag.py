"""How far this process's sources are behind, for the terminal of a live run."""

from threading import Lock


class Lag:
    """The last known lag of each source of this process, in milliseconds.

    Nothing but a view on a laptop may read it: an engine's metric is `source:behind_ms`.

    Example:
        >>> lag = Lag()
        >>> lag.say("kinesis:telemetry", 40)
        >>> lag.read()
        {'kinesis:telemetry': 40}
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._behind: dict[str, int] = {}

    def say(self, source: str, milliseconds: int) -> None:
        """The source's partition that is furthest behind is so far behind."""
        with self._lock:
            self._behind[source] = milliseconds

    def read(self) -> dict[str, int]:
        """A copy."""
        with self._lock:
            return dict(self._behind)


LAG = Lag()
