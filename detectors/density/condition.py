"""Condition score: is this reading part of a fault? A fault that lasts must not become normal."""

import math

from numba import njit

PATIENCE = 2000.0
"""Suspicious readings in a row after which the model gives in and learns them all."""


@njit(cache=True)
def condition(innovation: float, level: float, stuck: float, bits: float) -> float:
    """One number in bits from the largest sign of each sort over the channels.

    log2(1 + max zi) + log2(1 + max |zl|) + ½ log2(1 + max st) + ½ bits(F3): logarithms make the
    signs add as evidence does, and a deviation of 1,000 count no more than it should.

    Examples:
        >>> condition(0.0, 0.0, 0.0, 0.0), condition(3.0, 1.0, 3.0, 4.0)
        (0.0, 6.0)
    """
    return (
        math.log2(1.0 + innovation)
        + math.log2(1.0 + level)
        + 0.5 * math.log2(1.0 + stuck)
        + 0.5 * bits
    )


@njit(cache=True)
def gate(suspicious: bool, held: float, learned: float) -> tuple[bool, float]:
    """Whether the condition's forest learns this reading: (learns, held).

    While a channel is frozen or far off its level only every 50th reading is learned, until 2,000
    such readings say that this is how the device is now.
    """
    if not suspicious or learned <= 100.0:
        return True, 0.0
    held = min(held + 1.0, 60000.0)
    return held > PATIENCE or held % 50.0 == 0.0, held
