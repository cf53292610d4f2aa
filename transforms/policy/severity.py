"""How severe an incident is: from its score, how long it lasts, and the device's importance."""

from typing import Literal

Importance = Literal["low", "normal", "high"]
SEVERITIES = ("info", "warning", "error", "critical")
LONG = 3_600_000_000
"""Microseconds after which a trouble is one step more severe."""
_IMPORTANCE = {"low": -1, "normal": 0, "high": 1}
_BASE = {"silent": 1, "missing": 1, "flapping": 1, "out_of_limits": 2}


def severity(kind: str, strength: float, lasted: int, importance: Importance) -> int:
    """The index in `SEVERITIES`.

    An `event` or a `condition` is info below three quarters of its threshold (an alarm that lasts
    or that another sign made), a warning up to one and a half times the threshold, an error above.
    Beyond hard limits is an error; silent, missing and flapping are warnings. An hour of trouble is
    one step more, a device of high importance another, one of low importance is one step less.

    Args:
        kind: Kind of incident.
        strength: Its highest score as a multiple of the threshold.
        lasted: Microseconds from its opening to its last alarm, or without a reading.
        importance: The device's, from the registry.

    Examples:
        >>> SEVERITIES[severity("event", 1.2, 0, "normal")]
        'warning'
        >>> SEVERITIES[severity("out_of_limits", 0.0, 0, "high")]
        'critical'
    """
    scored = 0 if strength < 0.75 else 1 if strength < 1.5 else 2
    level = _BASE.get(kind, scored) + (lasted >= LONG) + _IMPORTANCE[importance]
    return min(max(level, 0), len(SEVERITIES) - 1)
