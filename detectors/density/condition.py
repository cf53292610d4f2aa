"""Condition score: is this reading part of a fault? A fault that lasts must not become normal."""

import math

from numba import njit

PATIENCE = 0.5
"""Share of the memory: so many suspicious readings in a row are learned at last, all of them."""


@njit(cache=True)
def condition(sudden: float, far: float, stuck: float, bits: float) -> float:
    """One number in bits from the largest sign of each sort over the channels.

    max sudden + max far + ½ log2(1 + max st) + ½ bits(F3), where sudden is w log2(1 + zi) +
    v log2(1 + |z|) with the weights of `structure`, far is log2(1 + |z|), and z is the deviation
    from the level or from this hour's usual value, whichever is smaller. Logarithms make the signs
    add as evidence does, and a deviation of 1,000 count no more than it should.

    Examples:
        >>> condition(0.0, 0.0, 0.0, 0.0), condition(2.0, 1.0, 3.0, 4.0)
        (0.0, 6.0)
    """
    return sudden + far + 0.5 * math.log2(1.0 + stuck) + 0.5 * bits


@njit(cache=True)
def novelty(score: float, moves: float) -> float:
    """The condition and ¼ bits(F2): ranks rows of a table, whose order says nothing.

    F2, of place and steps, learns every row and so forgets a fault that lasts: good for finding a
    rare row among many, too forgetful for an alarm.

    Examples:
        >>> novelty(6.0, 4.0)
        7.0
    """
    return score + 0.25 * moves


@njit(cache=True)
def gate(suspicious: bool, held: float, learned: float, memory: float) -> tuple[bool, float]:
    """Whether the condition's forest learns this reading: (learns, held).

    While a channel is frozen or far off its level only every 50th reading is learned, until 2,000
    such readings (half the memory) say that this is how the device is now.
    """
    if not suspicious or learned <= 100.0:
        return True, 0.0
    held = min(held + 1.0, 60000.0)
    return held > PATIENCE * memory or held % 50.0 == 0.0, held
