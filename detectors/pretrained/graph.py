"""Forests as an ONNX graph of one operator."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.pretrained.model import KEY, About

OPSETS = (("", 15), ("ai.onnx.ml", 3))
IR_VERSION = 8
"""What an onnxruntime of 2022 reads."""
MANTISSA = 2.0**24


class Part(NamedTuple):
    """One forest.

    Args:
        features: Which features its trees ask for.
        trees: scikit-learn's `tree_` of each.
        paths: Length of the path that ends in each node, for each tree.
    """

    features: Sequence[int]
    trees: Sequence[Any]
    paths: Sequence[NDArray[np.float64]]


def graph_of(parts: Sequence[Part], width: int, about: About) -> bytes:
    """Return the ONNX file: features in, for each part the sum of a row's paths out.

    The tree of scikit-learn compares a float32 with a float64, x <= t; the graph has the largest
    float32 that is not above t in its place, which decides every x alike. Path lengths are rounded
    to multiples of a power of two so coarse that their sums are exact in float32 (for 50 trees on
    256 rows 2^-14), and that is the only difference.

    Args:
        parts: The forests.
        width: How many features there are.
        about: Goes into the file.
    """
    onnx: Any = import_module("onnx")
    grid = max(_grid(part.paths) for part in parts)
    columns: dict[str, list[Any]] = {name: [] for name in _NODE + _LEAF}
    each = (
        (target, part.features, tree, paths)
        for target, part in enumerate(parts)
        for tree, paths in zip(part.trees, part.paths, strict=True)
    )
    for number, (target, features, tree, paths) in enumerate(each):
        nodes = np.arange(tree.node_count)
        feature = np.array(features)[tree.feature]  # of a leaf it is -2: any, and not asked for
        is_leaf = tree.children_left < 0
        columns["nodes_treeids"] += [number] * len(nodes)
        columns["nodes_nodeids"] += nodes.tolist()
        columns["nodes_featureids"] += np.where(is_leaf, 0, feature).tolist()
        columns["nodes_values"] += np.where(is_leaf, 0.0, not_above(tree.threshold)).tolist()
        columns["nodes_modes"] += np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist()
        columns["nodes_truenodeids"] += np.where(is_leaf, 0, tree.children_left).tolist()
        columns["nodes_falsenodeids"] += np.where(is_leaf, 0, tree.children_right).tolist()
        leaves = np.flatnonzero(is_leaf)
        columns["target_treeids"] += [number] * len(leaves)
        columns["target_nodeids"] += leaves.tolist()
        columns["target_ids"] += [target] * len(leaves)
        columns["target_weights"] += (np.round(paths[leaves] / grid) * grid).tolist()
    make = onnx.helper
    node = make.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["paths"],
        domain="ai.onnx.ml",
        n_targets=len(parts),
        aggregate_function="SUM",
        **columns,
    )
    real = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [node],
        "isolation_forest",
        [make.make_tensor_value_info("features", real, [None, width])],
        [make.make_tensor_value_info("paths", real, [None, len(parts)])],
    )
    model = make.make_model(
        graph,
        opset_imports=[make.make_opsetid(domain, version) for domain, version in OPSETS],
        producer_name="eddyline",
        ir_version=IR_VERSION,
    )
    make.set_model_props(model, {KEY: msgspec.json.encode(about).decode()})
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


_NODE = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
)
_LEAF = ("target_treeids", "target_nodeids", "target_ids", "target_weights")


def not_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each threshold.

    Examples:
        >>> not_above(np.array([0.1, 0.5])).tolist()
        [0.09999999403953552, 0.5]
    """
    nearest = threshold.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, below, nearest)


def _grid(leaf_paths: Sequence[NDArray[np.float64]]) -> float:
    largest = sum(float(paths.max()) for paths in leaf_paths) + 1.0
    return float(2.0 ** np.ceil(np.log2(largest / MANTISSA)))
