"""Each channel's part in an alarm."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density import told as t
from eddyline.detectors.density.signs import CONDITION, EVENT, LEVEL, NOISE, PERSISTENCE, STUCK

HEAD = 5.0
"""Bits that a head at its threshold is worth."""


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
        bits += about[t.SUDDEN] + about[t.FAR_BITS] + 0.5 * math.log2(1.0 + about[t.STUCK])
    if signs & PERSISTENCE:
        bits += math.log2(1.0 + abs(about[t.FAR]))
    if signs & NOISE:
        bits += HEAD * max(about[t.NOISE], 0.0)
    if signs & LEVEL:
        bits += HEAD * max(about[t.AWAY], 0.0)
    if signs & STUCK:
        bits += HEAD * about[t.STILL]
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
