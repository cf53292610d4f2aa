import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.anomaly import HalfSpaceTrees

from eddyline.detectors.forest import build_forest, find_leaf

UNIT = (0.0, 1.0)
NAMES = ("pressure", "co", "temperature")
LIMITS = ((300.0, 1100.0), (0.0, 10.0), (-40.0, 85.0))


def river_trees(names, limits, **shape):
    river = HalfSpaceTrees(limits=dict(zip(names, limits, strict=True)), **shape)
    river.learn_one(dict.fromkeys(names, 0.0))
    return river.trees


def leaf_path(root, x):
    """River's own way to the leaf, as the number the path spells: left 0, right 1."""
    number, node = 0, root
    while hasattr(node, "threshold"):
        child = node.next(x)
        number = 2 * number + (child is node.right)
        node = child
    return number


@given(
    st.lists(st.floats(-100, 1200), min_size=3, max_size=3),
    st.integers(0, 5),
    st.sampled_from([1, 3, 6, 8]),
)
def test_a_value_falls_into_the_leaf_where_river_puts_it(x, seed, height):
    shape = {"n_trees": 4, "height": height, "seed": seed}
    forest = build_forest(NAMES, LIMITS, **shape)
    for tree, root in enumerate(river_trees(NAMES, LIMITS, **shape)):
        wanted = leaf_path(root, dict(zip(NAMES, x, strict=True)))
        values = np.array(x)
        assert find_leaf(forest.feature, forest.threshold, tree, height, values) == wanted
        assert find_leaf.py_func(forest.feature, forest.threshold, tree, height, values) == wanted


def test_a_value_on_a_threshold_goes_to_the_right():
    forest = build_forest(("x",), (UNIT,), n_trees=1, height=1, seed=42)
    at = forest.threshold[0, 1]
    below = np.nextafter(at, -np.inf)
    leaves = [
        find_leaf(forest.feature, forest.threshold, 0, 1, np.array([x]))
        for x in (below, at, np.nan)
    ]
    assert leaves == [0, 1, 1]


def test_the_same_arguments_give_the_same_read_only_forest():
    shape = {"n_trees": 10, "height": 6, "seed": 42}
    forest = build_forest(NAMES, LIMITS, **shape)
    assert build_forest(NAMES, LIMITS, **shape) is forest
    assert build_forest(NAMES, LIMITS, **{**shape, "seed": 43}) is not forest
    with pytest.raises(ValueError, match="read-only"):
        forest.threshold[0, 1] = 0.0


def test_the_order_of_the_columns_changes_the_columns_and_not_the_trees():
    shape = {"n_trees": 3, "height": 5, "seed": 7}
    forest = build_forest(NAMES, LIMITS, **shape)
    turned = build_forest(NAMES[::-1], LIMITS[::-1], **shape)
    np.testing.assert_array_equal(turned.threshold, forest.threshold)
    np.testing.assert_array_equal(turned.feature[:, 1:], 2 - forest.feature[:, 1:])


@pytest.mark.parametrize(
    ("names", "limits", "told"),
    [
        ((), (), "names must be there"),
        (("x", "x"), (UNIT, UNIT), "names must be there and differ"),
        (("x", "y"), (UNIT,), "1 for 2 features"),
        (("x", "y"), ((-8e307, 8e307), (-8e307, 8e307)), "finite"),
    ],
)
def test_features_that_make_no_forest_are_refused(names, limits, told):
    with pytest.raises(ValueError, match=told):
        build_forest(names, limits, n_trees=1, height=3, seed=0)
