"""A channel's own scale among many: who cries wolf often is believed less."""

import math

from numba import njit

ODD = 6.0
"""Bits of one channel from which on it is odd."""
APART = 50.0
"""Readings without an odd one that make the next one a new trouble."""


@njit(cache=True)
def learn_habit(
    bits: float, habit: float, quiet: float, seen: float, memory: float
) -> tuple[float, float]:
    """Count the troubles of a channel: (habit, quiet).

    Troubles, not readings: a fault that lasts is counted once and is not its own yardstick. A count
    fades to half over `memory` readings.

    Args:
        bits: Of this reading, before anything is taken off.
        habit: Troubles counted.
        quiet: Readings since an odd one.
        seen: Readings before this one.
        memory: In readings.

    Examples:
        >>> habit, quiet = learn_habit(9.0, 0.0, 60.0, 1000.0, 4000.0)
        >>> learn_habit(9.0, habit, quiet, 1001.0, 4000.0)[0] <= habit == 1.0
        True
    """
    habit *= 1.0 - math.log(2.0) / memory
    if bits < ODD:
        return habit, min(quiet + 1.0, 60000.0)
    if quiet >= APART and seen >= APART:
        habit += 1.0
    return habit, 0.0


@njit(cache=True)
def crowd(channels: int) -> float:
    """Share of its habit that is taken off a channel: none up to 3, all of it from 5 channels on.

    The largest of many signs follows the worst-behaved channel; of few each has its say.

    Examples:
        >>> crowd(3), crowd(4), crowd(38)
        (0.0, 0.5, 1.0)
    """
    return min(max(0.5 * (channels - 3.0), 0.0), 1.0)


@njit(cache=True)
def take_off(bits: float, habit: float, share: float) -> float:
    """What is left of one of the two signs of a channel: bits − ½ share log2(1 + habit), ≥ 0."""
    return max(bits - 0.5 * share * math.log2(1.0 + habit), 0.0)
