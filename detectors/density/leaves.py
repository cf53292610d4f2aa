"""Which leaf of every tree a point falls in, without walking the trees.

After Lucchese et al., "QuickScorer" (SIGIR 2015): for each feature, the interval between two
neighbouring thresholds of all trees rules out the same leaves whatever the other features are. One
64-bit mask per interval and tree keeps the leaves still possible; the masks of all features, ANDed,
leave one bit a tree. So a look-up is a handful of independent loads in place of height × trees
dependent ones.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eddyline.detectors.forest import Forest

CELLS = 256
"""Equal cells of [0, 1] that say where in a feature's sorted thresholds to begin."""
BIT = np.zeros(67, np.uint8)
"""2^k mod 67 → k: 2 is a primitive root modulo 67, so the 64 remainders differ."""
for _k in range(64):
    BIT[pow(2, _k, 67)] = _k


class Leaves(NamedTuple):
    """A forest over features in [0, 1], laid out for `find`; shared by all devices."""

    start: NDArray[np.uint16]
    """`[features, CELLS + 1]`: first threshold above the cell's lower end."""
    threshold: NDArray[np.float64]
    """`[intervals]`: ascending for each feature, +inf at its end."""
    possible: NDArray[np.uint64]
    """`[intervals, trees]`: leaves that a value below this threshold, and not below the one before,
    can still reach."""


def lay_out(forest: Forest, features: int) -> Leaves:
    """Turn the trees of a forest over so many features into masks.

    Raises:
        ValueError: The trees have more than 64 leaves.

    Examples:
        >>> splits = np.array([[0, 0, 0, 1]], np.uint16), np.array([[0.0, 0.5, 0.2, 0.7]])
        >>> layout = lay_out(Forest(*splits, height=2), features=2)
        >>> leaves = np.zeros(1, np.uint8)
        >>> find(np.array([0.6, 0.9]), *layout, np.zeros(1, np.uint64), leaves)
        >>> int(leaves[0])
        3
    """
    if forest.height > 6:
        raise ValueError(f"a tree has at most 64 leaves, not {2**forest.height}")
    feature, threshold = forest.feature[:, 1:], forest.threshold[:, 1:]
    trees, nodes = feature.shape
    beside = _leaves_below(nodes)
    start = np.zeros((features, CELLS + 1), np.uint16)
    ends: list[NDArray[np.float64]] = []
    masks: list[NDArray[np.uint64]] = []
    first = 0
    for f in range(features):
        cuts = np.unique(threshold[feature == f])
        start[f] = first + np.searchsorted(cuts, np.arange(CELLS + 1) / CELLS, "right")
        first += len(cuts) + 1
        ends.append(np.append(cuts, np.inf))
        # All values of one interval compare to every threshold as its lower end does.
        lower = np.append(-np.inf, cuts)
        masks.append(np.full((len(lower), trees), beside[0], np.uint64))
        for tree in range(trees):
            splits = np.flatnonzero(feature[tree] == f)
            right = lower[:, None] >= threshold[tree, splits]
            ruled_out = np.where(right, beside[2 * splits + 1], beside[2 * splits + 2])
            masks[-1][:, tree] &= ~np.bitwise_or.reduce(ruled_out, axis=1, initial=np.uint64(0))
    return Leaves(start, np.concatenate(ends), np.concatenate(masks))


def _leaves_below(nodes: int) -> NDArray[np.uint64]:
    """Bits of the leaves below each node of a tree in heap order, node 0 its root."""
    below = np.zeros(2 * nodes + 1, np.uint64)
    below[nodes:] = np.uint64(1) << np.arange(nodes + 1, dtype=np.uint64)
    for node in reversed(range(nodes)):
        below[node] = below[2 * node + 1] | below[2 * node + 2]
    return below


@njit(cache=True)
def find(
    point: NDArray[np.float64],
    start: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    possible: NDArray[np.uint64],
    mask: NDArray[np.uint64],
    leaves: NDArray[np.uint8],
) -> None:
    """Fill `leaves[tree]` with the leaf that holds `point`, whose values are in [0, 1].

    `mask`, one word a tree, is overwritten: an allocation a call would cost as much as the rest.
    """
    trees = possible.shape[1]
    for f in range(len(point)):
        value = point[f]
        # Unsigned: numba guards every signed index against being negative.
        at = np.uint64(start[f, np.uint64(value * CELLS)])
        while value >= threshold[at]:
            at += np.uint64(1)
        if f == 0:
            for tree in range(trees):
                mask[tree] = possible[at, tree]
        else:
            for tree in range(trees):
                mask[tree] &= possible[at, tree]
    for tree in range(trees):
        leaves[tree] = BIT[mask[tree] % np.uint64(67)]
