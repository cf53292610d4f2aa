"""Fit forests on features, and find the threshold on others."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.pretrained.features import SIGNS
from eddyline.detectors.pretrained.graph import Part, graph_of
from eddyline.detectors.pretrained.model import About, Model, Scale, parts_of

SAMPLES = 256
"""Rows that each tree is built on, as in the paper."""
LEAST = 32
"""Rows without which nothing can be said of what is usual."""
BACKGROUND = 0.05
"""Rows drawn evenly over the cube of all features, as a share of those trained on. They make trees
split also where no reading of the training lies; without them, one that is farther off than any of
those has the path of the farthest."""
TAIL = 8
"""Rows by which the shortest paths are told from shorter ones yet."""
EULER = 0.5772156649015329


def fit_forests(
    features: NDArray[np.float32], held_out: NDArray[np.float32], about: About
) -> bytes:
    """Return the ONNX file of an Isolation Forest for each channel and one for all together.

    The same rows, settings and seed give the same forests.

    Args:
        features: To train on, as `features_of` returns them.
        held_out: To find the threshold on: what later rows look like.
        about: Its trees, seed and alarm rate count; what is found out is filled in.

    Raises:
        ValueError: There are too few rows, of all channels or of one.
        ModuleNotFoundError: scikit-learn or onnx is not installed.
    """
    if len(features) < LEAST or not len(held_out):
        raise ValueError(
            f"{len(features):,} rows to train on and {len(held_out):,} to find the threshold on "
            f"are too few: {LEAST} and 1 are needed, after each channel's warm-up of "
            f"{about.warm_up} values"
        )
    width = features.shape[1]
    parts: list[Part] = []
    for number, channel in enumerate(about.channels):
        own = range(number * len(SIGNS), (number + 1) * len(SIGNS))
        rows = features[:, own]
        rows = rows[~np.isnan(rows[:, 0])]
        if len(rows) < LEAST:
            raise ValueError(
                f"channel {channel.name}: {len(rows):,} values to train on, {LEAST} are needed"
            )
        parts.append(_fit(rows, own, about))
    if parts_of(len(about.channels)) > len(parts):
        parts.append(_fit(np.nan_to_num(features, nan=0.0), range(width), about))
    versions = {name: import_module(name).__version__ for name in ("sklearn", "onnx")}
    about = msgspec.structs.replace(
        about,
        rows=len(features),
        held_out=len(held_out),
        versions={**about.versions, **versions},
    )
    paths = Model(graph_of(parts, width, about)).paths(features)
    known = [~np.isnan(column) for column in features.T[:: len(SIGNS)]]
    known += [np.ones(len(features), np.bool_)] * (len(parts) - len(known))
    scales = tuple(scale_of(paths[there, part]) for part, there in enumerate(known))
    about = msgspec.structs.replace(about, scales=scales)
    scores = Model(graph_of(parts, width, about)).score(held_out)
    threshold = threshold_for(scores, about.alarm_rate)
    return graph_of(parts, width, msgspec.structs.replace(about, threshold=threshold))


def _fit(rows: NDArray[np.float32], features: Sequence[int], about: About) -> Part:
    random = np.random.default_rng(about.seed)
    background = random.uniform(-1.0, 1.0, (round(BACKGROUND * len(rows)), rows.shape[1]))
    rows = np.concatenate([rows, background.astype(np.float32)])
    ensemble: Any = import_module("sklearn.ensemble")
    forest = ensemble.IsolationForest(
        n_estimators=about.trees,
        max_samples=min(SAMPLES, len(rows)),
        random_state=about.seed,
        n_jobs=1,
    ).fit(rows)
    trees = [estimator.tree_ for estimator in forest.estimators_]
    return Part(features, trees, [path_lengths(tree) for tree in trees])


def scale_of(paths: NDArray[np.float64]) -> Scale:
    """Return what the lengths of paths mean, by how rare they are among these.

    Points at the shares 1, 1/2, 1/4 and so on, as long as `TAIL` rows lie beyond.

    Examples:
        >>> scale_of(np.arange(64.0))
        Scale(paths=(7.0, 15.0, 31.0, 63.0), bits=(3.0, 2.0, 1.0, 0.0))
    """
    ascending = np.sort(paths)
    points: dict[float, float] = {}
    for bits in range(int(np.log2(max(len(paths) // TAIL, 1))) + 1):
        points[float(ascending[(len(paths) >> bits) - 1])] = float(bits)
    found = sorted(points.items())
    return Scale(tuple(path for path, _ in found), tuple(bits for _, bits in found))


def mean_path(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return c(n): the mean length of a path in a random tree that is built on n rows.

    Equation 1 of Liu, Ting and Zhou 2008, with 1 for two rows and 0 for fewer.

    Examples:
        >>> mean_path(np.array([1, 2, 256])).round(4).tolist()
        [0.0, 1.0, 10.2448]
    """
    n = np.maximum(rows, 3).astype(np.float64)
    many = 2.0 * (np.log(n - 1.0) + EULER) - 2.0 * (n - 1.0) / n
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, many))


def path_lengths(tree: Any) -> NDArray[np.float64]:
    """Return for each node the splits above it and c(n) of the rows that ended there."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # a child's number is larger than its parent's
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1.0
    return depth + mean_path(tree.n_node_samples)


def threshold_for(scores: NDArray[np.float64], rate: float) -> float:
    """Return the smallest threshold that at most this share of the scores reaches.

    Args:
        scores: At least one.
        rate: Share, below 1.

    Examples:
        >>> threshold_for(np.array([0.1, 0.2, 0.3, 0.4]), 0.5)
        0.3
        >>> threshold_for(np.array([0.1, 0.4, 0.4, 0.4]), 0.5) > 0.4
        True
    """
    ascending = np.sort(scores)
    most = int(rate * len(scores))
    # A score may be there many times: those of a door are few.
    above = ascending[ascending > ascending[-1 - most]]
    return float(above[0]) if len(above) else float(np.nextafter(ascending[-1], np.inf))
