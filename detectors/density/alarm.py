"""Alarms that have a state: they enter, last and leave."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.density.channel_features import rate
from eddyline.detectors.density.heads import SHIFTS
from eddyline.detectors.density.signs import CONDITION, LEVEL, NOISE, PERSISTENCE, STUCK

LEAVE_BELOW = 2.0
"""Bits below the threshold at which a condition is over."""
LEAVE_HEADS = 0.9
ALLOWANCE = 3.0
"""Bits above the usual condition that are not summed."""
CALM = 10.0
"""Readings below all leave levels that end an alarm."""


@njit(cache=True)
def persistence(
    score: float,
    usual: float,
    shift: int,
    means: NDArray[np.float32],
    counts: NDArray[np.uint16],
    total: float,
    seen: float,
    threshold: float,
    memory: float,
) -> tuple[float, float]:
    """Sum what the condition is above its usual value, a one-sided CUSUM: (total, usual).

    A = clip(A + min(condition − mu, 8) − 3, 0, 2H) from reading 50, before mu moves by a times the
    deviation clipped to ±3; mu is the slow average of all hours or that of the same four hours,
    whichever is higher: a channel that wakes up every morning is no fault. `shift` −1: no time.
    Source: Page, Continuous inspection schemes, 1954; the allowance is 3 bits, H the threshold.
    """
    reference = usual
    if shift >= 0:
        count = np.float64(counts[shift])
        mean = np.float64(means[shift])
        if count > 20.0:
            reference = max(usual, mean)
        deviation = min(max(score - mean, -3.0), 3.0)
        means[shift] = mean + max(1.0 / (count + 1.0), SHIFTS / memory) * deviation
        counts[shift] = min(count + 1.0, 60000.0)
    if seen >= 50.0:
        step = min(score - reference, 8.0) - ALLOWANCE
        total = min(max(total + step, 0.0), 2.0 * threshold)
    return total, usual + rate(seen, memory) * min(max(score - usual, -3.0), 3.0)


@njit(cache=True)
def alarm_state(
    on: bool,
    calm: float,
    score: float,
    total: float,
    heads: float,
    enter: float,
    threshold: float,
    strict: float,
) -> tuple[bool, float]:
    """Enter, keep or leave the state of alarm: (on, calm).

    Enters at condition ≥ `enter`, persistence ≥ `threshold` or a head ≥ 1; leaves after 10 readings
    in a row with the condition 2 bits lower, heads < .9 and nothing summed. `strict` multiplies
    what persistence and heads must reach.
    """
    if score >= enter or total >= strict * threshold or heads >= strict:
        return True, 0.0
    if not on:
        return False, 0.0
    if score < enter - LEAVE_BELOW and heads < LEAVE_HEADS * strict and total == 0.0:
        calm += 1.0
        return calm < CALM, calm
    return True, 0.0


@njit(cache=True)
def state_signs(
    score: float,
    total: float,
    noise: float,
    away: float,
    still: float,
    enter: float,
    threshold: float,
    strict: float,
) -> int:
    """Bits of the signs that are above their thresholds in this reading; 0 while it only lasts."""
    signs = 0
    if score >= enter:
        signs |= CONDITION
    if total >= strict * threshold:
        signs |= PERSISTENCE
    if noise >= strict:
        signs |= NOISE
    if away >= strict:
        signs |= LEVEL
    if still >= strict:
        signs |= STUCK
    return signs
