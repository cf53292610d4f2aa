"""The random half-space trees that all devices of a worker share.

River builds them (`river.anomaly.HalfSpaceTrees`, after Tan, Ting and Liu, Fast Anomaly Detection
for Streaming Data, IJCAI 2011): axis-parallel half-spaces drawn from a seed. They depend on the
features' names and limits and on no reading, so one forest serves a whole fleet and a device keeps
only how often its readings fell where.

A look-up walks down the tree. Bit masks of the leaves still possible behind each threshold, sorted
by feature, were measured beside it: 90 to 230 ns for 10 trees of height 6 and 2 to 6 features,
against 91 ns for the walk at any number of features, and 50 KB a forest against 6.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.shipped_forests import Trees, Wanted, find_shipped

# Node numbers are unsigned: numba guards every signed index against being negative, and a walk is
# nothing but indices. It halves the time of a look-up.
ROOT = np.uint64(1)
ONE = np.uint64(1)


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees as flat read-only arrays, each in heap order.

    Node 1 is the root, the children of node i are 2i and 2i + 1, and the leaves are the last
    2**height nodes: leaf number l is node 2**height + l. Only inner nodes are stored, so both
    arrays have the shape `[n_trees, 2**height]`; their column 0 is not used.

    Args:
        feature: Column of the feature a node splits on.
        threshold: A value below it goes to the left child, any other to the right.
        height: Splits between the root and a leaf.
    """

    feature: NDArray[np.uint16]
    threshold: NDArray[np.float64]
    height: int


@lru_cache(maxsize=256)
def build_forest(
    features: tuple[str, ...],
    limits: tuple[tuple[float, float], ...],
    *,
    n_trees: int,
    height: int,
    seed: int,
) -> Forest:
    """Return River's trees over these features; the same arguments give the same object.

    Args:
        features: Names, in the order of the columns that will be looked up. River draws over the
            sorted names, so another order gives the same trees over other columns.
        limits: Range of each feature. River splits a wide feature more often than a narrow one.
        n_trees: Number of trees.
        height: Splits between the root and a leaf, at least 1.
        seed: Of River's random numbers.

    Raises:
        ValueError: Names repeat, limits do not belong to them, or the limits are so wide that
            their widths have no finite sum.

    Examples:
        >>> forest = build_forest(("t", "h"), ((0, 1), (0, 1)), n_trees=10, height=6, seed=42)
        >>> forest.feature.shape, forest.threshold[0, 1].round(4).item()
        ((10, 64), 0.1675)
    """
    if len(set(features)) != len(features) or not features:
        raise ValueError(f"features: names must be there and differ, not {features}")
    if len(limits) != len(features):
        raise ValueError(f"limits: {len(limits)} for {len(features)} features")
    wanted = Wanted(features, limits, n_trees, height, seed)
    trees = find_shipped(wanted) or grow_forest(wanted)
    for array in trees:
        array.setflags(write=False)
    return Forest(*trees, height)


def grow_forest(wanted: Wanted) -> Trees:
    """Have River build these trees."""
    # A second of scipy and pandas behind it: only for those who build a forest.
    from river.anomaly import HalfSpaceTrees

    features, limits, n_trees, height, seed = wanted
    river: Any = HalfSpaceTrees(
        n_trees=n_trees, height=height, limits=dict(zip(features, limits, strict=True)), seed=seed
    )
    # The first observation makes River build its trees; its values play no part in that.
    river.learn_one(dict.fromkeys(features, 0.0))
    column = {name: index for index, name in enumerate(features)}
    feature = np.zeros((n_trees, 2**height), dtype=np.uint16)
    threshold = np.zeros((n_trees, 2**height), dtype=np.float64)
    for tree, root in enumerate(river.trees):
        level: list[Any] = [root]
        for depth in range(height):
            for node, branch in enumerate(level, start=2**depth):
                feature[tree, node] = column[branch.feature]
                threshold[tree, node] = branch.threshold
            level = [child for branch in level for child in branch.children]
    return Trees(feature, threshold)


@numba.njit(cache=True)
def find_leaf(
    feature: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    tree: int,
    height: int,
    x: NDArray[np.float64],
) -> np.uint64:
    """Return the number of the leaf that holds `x`, from 0; for use inside kernels.

    Args:
        feature: Of the forest.
        threshold: Of the forest.
        tree: Which tree.
        height: Of the forest.
        x: One value a feature. NaN is below no threshold: it goes to the right.

    Examples:
        >>> forest = build_forest(("t",), ((0, 1),), n_trees=1, height=3, seed=42)
        >>> [int(find_leaf.py_func(forest.feature, forest.threshold, 0, 3, np.array([x])))
        ...  for x in (0.0, 0.5, 1.0)]
        [0, 6, 7]
    """
    node = ROOT
    for _ in range(height):
        below = x[feature[tree, node]] < threshold[tree, node]
        node = (node << ONE) + (np.uint64(0) if below else ONE)
    return node - (ROOT << np.uint64(height))
