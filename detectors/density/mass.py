"""Masses of a forest's leaves, and how surprising a leaf is, in bits."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.counters import ONE_BYTE, TWO_BYTES

FULL = 16_000
"""Readings after which all masses are halved: the past counts half, for ever."""


@njit(cache=True)
def surprise(masses: NDArray[np.uint16], learned: float, leaves: NDArray[np.uint8]) -> float:
    """How many times rarer than uniform these leaves are, in bits.

    log2(N + ¼) − height − mean over trees of log2(mass + ¼); 0 where nothing was learned. Adding ¼
    keeps an empty leaf finite, 2.3 bits more than a leaf seen once. The sum of logarithms is taken
    as the logarithm of products of 16 masses: 16,000^16 is far from overflow.

    Examples:
        >>> masses = np.array([[30, 0], [15, 15]], np.uint16)
        >>> common, rare = np.array([0, 0], np.uint8), np.array([1, 0], np.uint8)
        >>> round(surprise(masses, 30.0, common), 2), round(surprise(masses, 30.0, rare), 2)
        (-0.51, 2.95)
    """
    if learned == 0.0:
        return 0.0
    trees, size = masses.shape
    total = 0.0
    product = 1.0
    for tree in range(trees):
        product *= masses[tree, leaves[tree]] + 0.25
        if tree % 16 == 15:
            total += math.log2(product)
            product = 1.0
    total += math.log2(product)
    return math.log2(learned + 0.25) - math.log2(size) - total / trees


@njit(cache=True)
def learn(masses: NDArray[np.uint16], learned: float, leaves: NDArray[np.uint8]) -> float:
    """Count one reading in its leaves, in place; returns how many readings now count.

    At 16,000 all masses are halved, so 16 bits hold any history.
    """
    for tree in range(len(masses)):
        masses[tree, leaves[tree]] += 1
    learned += 1.0
    return halve(masses, learned) if learned >= FULL else learned


@njit(cache=True)
def halve(masses: NDArray[np.uint16], learned: float) -> float:
    """Let the past count half, in place; leaves seen once are forgotten."""
    trees, size = masses.shape
    for tree in range(trees):
        for leaf in range(size):
            masses[tree, leaf] //= 2
    return learned // 2.0


@njit(cache=True)
def packed_size(masses: NDArray[np.uint16]) -> int:
    """Bytes that a forest's masses take in a device record (`eddyline.detectors.counters`).

    Examples:
        >>> packed_size(np.array([[0] * 8 + [1, 0, 500, 0, 0, 0, 0, 0]], np.uint16))
        5
    """
    trees, size = masses.shape
    total = trees * ((size + 63) // 64)
    for tree in range(trees):
        for block in range(0, size, 8):
            used = 0
            for leaf in range(block, block + 8):
                mass = masses[tree, leaf]
                used += (mass > 0) + (mass >= ONE_BYTE) + (mass >= TWO_BYTES)
            total += used + (used > 0)
    return total


@njit(cache=True)
def make_room(masses: NDArray[np.uint16], learned: NDArray[np.uint16], room: float) -> None:
    """Halve the largest of a device's forests where its record would outgrow `room` bytes.

    Only devices whose readings spread over half of all leaves get there: they forget leaves that
    were seen once or twice sooner than others do.
    """
    total = 0
    largest = 0
    most = -1
    for forest in range(len(masses)):
        bytes_ = packed_size(masses[forest])
        total += bytes_
        if bytes_ > most:
            most = bytes_
            largest = forest
    if total > room:
        learned[largest] = halve(masses[largest], np.float64(learned[largest]))
