"""Each channel's part in an alarm."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density import told as t
from eddyline.detectors.density.signs import CONDITION, EVENT, LEVEL, NOISE, PERSISTENCE


@njit(cache=True)
def evidence(about: NDArray[np.float64], signs: int) -> float:
    """Bits of one channel (a row of `told`) that speak for these alarms.

    The terms are those of the scores themselves: the condition's for a condition, the head's own
    for a head, and for persistence the 30-reading average of the level deviation beside them.
    """
    bits = 0.0
    if signs & EVENT:
        bits += about[t.JOINT]
    if signs & (CONDITION | PERSISTENCE):
        bits += (
            math.log2(1.0 + about[t.INNOVATION])
            + math.log2(1.0 + abs(about[t.LEVEL]))
            + 0.5 * math.log2(1.0 + about[t.STUCK])
        )
    if signs & PERSISTENCE:
        bits += math.log2(1.0 + abs(about[t.FAR]))
    if signs & NOISE:
        bits += 4.0 * max(about[t.NOISE], 0.0)
    if signs & LEVEL:
        bits += 4.0 * max(about[t.AWAY], 0.0)
    return bits


@njit(cache=True)
def weigh(about: NDArray[np.float64], signs: int) -> int:
    """Fill the evidence of all channels; returns the one with the most, the first of equals."""
    best = 0
    for c in range(len(about)):
        about[c, t.EVIDENCE] = evidence(about[c], signs)
        if about[c, t.EVIDENCE] > about[best, t.EVIDENCE]:
            best = c
    return best
