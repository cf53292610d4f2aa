"""The five alarms of a device, as bits."""

from enum import IntFlag


class Alarm(IntFlag):
    """Which alarms stand behind an ANOMALY; the first is of this reading, the others are a state.

    Examples:
        >>> Alarm(5)
        <Alarm.EVENT|PERSISTENCE: 5>
    """

    EVENT = 1
    """Something new happens now."""
    CONDITION = 2
    """This reading is part of a fault."""
    PERSISTENCE = 4
    """Not far from the usual, for long."""
    NOISE = 8
    """Noisier than usual."""
    LEVEL = 16
    """Away from its usual level."""
    STUCK = 32
    """Has not moved for longer than ever."""


EVENT = int(Alarm.EVENT)
CONDITION = int(Alarm.CONDITION)
PERSISTENCE = int(Alarm.PERSISTENCE)
NOISE = int(Alarm.NOISE)
LEVEL = int(Alarm.LEVEL)
STUCK = int(Alarm.STUCK)
