"""Moments: times as a person types them."""

from datetime import UTC, datetime

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%z"]
"""Forms in which a time is taken."""


def utc(time: datetime | None) -> datetime | None:
    """The time; one without a zone is UTC.

    Example:
        >>> utc(datetime(2026, 1, 5)) == datetime(2026, 1, 5, tzinfo=UTC)
        True
    """
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
