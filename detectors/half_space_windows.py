"""River's windows and score of Half-Space Trees, over the arrays of a fleet.

River (`river/anomaly/hst.py`, 0.26) counts a reading in every node it passes, in two accounts: of
the window being filled and of the one before it, which scores. Here the current window is counted
in the leaves alone, since whatever the way of a reading, with missing features too, it ends in one
leaf, and an inner node's mass is the sum of its leaves. The reference window keeps all nodes, for
every score reads them. Masses are integers and their sums stay below 2**53: exact in any order, so
the score is bit-equal.
"""

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.forest import ONE, ROOT
from eddyline.detectors.kernel import buffer, field, given, kernel

# A channel's usual value follows its readings over some thousands, and once it is settled one
# reading counts for no more than three deviations: a fault must not soon be the usual.
MEMORY = 4000.0
SETTLED = 20
CLIP = 3.0
# From the mean absolute to the standard deviation of a normal distribution.
TO_STANDARD = 1.2533


@numba.njit(cache=True)
def scale(
    values: NDArray[np.float64],
    learned: bool,
    seen: NDArray[np.int64],
    smallest: NDArray[np.float64],
    largest: NDArray[np.float64],
    x: NDArray[np.float64],
) -> None:
    """Make a reading the features `x`: its values, or those in the range learned so far.

    NaN says that the channel is missing. River's scaler also makes a NaN, of the first value of a
    channel, and that one is below no threshold: here it is infinity, which goes the same way.
    """
    for c in range(values.size):
        if not learned or np.isnan(values[c]):
            x[c] = values[c]
            continue
        if seen[c] == 0:
            x[c] = np.inf
            continue
        span = largest[c] - smallest[c]
        x[c] = (values[c] - smallest[c]) / span if span != 0.0 else 0.0
        if np.isnan(x[c]):
            x[c] = np.inf


@numba.njit(cache=True)
def sum_between(counts: NDArray[np.uint16], start: int, end: int) -> int:
    """Return the sum of the counts from start to before end."""
    total = 0
    for place in range(start, end):
        total += int(counts[place])
    return total


@numba.njit(cache=True)
def right_is_heavier(
    current: NDArray[np.uint16], tree: int, node: np.uint64, depth: int, height: int
) -> bool:
    """Tell whether a node's right child holds more of the current window than its left one.

    Args:
        current: Leaf counts, shape `[n_trees, 2**height]`.
        tree: Which tree.
        node: An inner node.
        depth: Of that node.
        height: Of the trees.
    """
    span = 1 << (height - 1 - depth)
    start = ((int(node) << 1) - (2 << depth)) * span
    left = sum_between(current[tree], start, start + span)
    return left < sum_between(current[tree], start + span, start + 2 * span)


@numba.njit(cache=True)
def find_leaves(
    feature: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    height: int,
    current: NDArray[np.uint16],
    x: NDArray[np.float64],
    leaves: NDArray[np.uint64],
) -> None:
    """Find the leaf of `x` in each tree; where its feature is missing, by the heavier children.

    Args:
        feature: Of the forest.
        threshold: Of the forest.
        height: Of the forest.
        current: Leaf counts of the window being filled, shape `[n_trees, 2**height]`.
        x: The features, NaN where missing.
        leaves: Takes the leaves, from 0.
    """
    for tree in range(feature.shape[0]):
        node = ROOT
        for depth in range(height):
            value = x[feature[tree, node]]
            if np.isnan(value):
                right = np.uint64(right_is_heavier(current, tree, node, depth, height))
            else:
                # Added and not branched on: a processor guesses half of these ways wrong.
                right = np.uint64(not value < threshold[tree, node])
            node = (node << ONE) + right
        leaves[tree] = node - (ROOT << np.uint64(height))


@numba.njit(cache=True)
def score_leaves(
    height: int, window_size: int, reference: NDArray[np.uint16], leaves: NDArray[np.uint64]
) -> float:
    """Return 1 - (sum of mass times 2**depth on the ways to the leaves) / (the most it can be).

    The sum of a way ends with the first node that held less than a tenth of the reference window.

    Args:
        height: Of the forest.
        window_size: Readings in a window.
        reference: Node counts of the last full window, shape `[n_trees, 2**(height + 1)]`.
        leaves: The leaf in each tree, from 0.
    """
    limit = 0.1 * window_size
    total = 0
    for tree in range(leaves.size):
        leaf = leaves[tree] + (ROOT << np.uint64(height))
        for depth in range(height + 1):
            here = int(reference[tree, leaf >> np.uint64(height - depth)])
            total += here << depth
            if here < limit:
                break
    most = leaves.size * window_size * (2 ** (height + 1) - 1)
    return 1.0 - total / most


@numba.njit(cache=True)
def sum_up(nodes: NDArray[np.uint16]) -> None:
    """Make each inner node of a tree the sum of its two children, up to the root."""
    parents = nodes.size >> 2
    while parents > 0:
        above, below = nodes[parents : 2 * parents], nodes[2 * parents : 4 * parents]
        for node in range(parents):
            above[node] = below[2 * node] + below[2 * node + 1]
        parents >>= 1


def refer_to(current: NDArray[np.uint16], reference: NDArray[np.uint16], times: float) -> None:
    """Make the current window, each count `times` itself, the reference; it goes on being filled.

    Args:
        current: Leaf counts, shape `[n_trees, 2**height]`.
        reference: Node counts, shape `[n_trees, 2**(height + 1)]`; changed in place.
        times: What makes a window in part a full one.

    Examples:
        >>> reference = np.zeros((1, 8), np.uint16)
        >>> refer_to(np.array([[1, 0, 0, 3]], np.uint16), reference, times=2.5)
        >>> reference[0].tolist()
        [0, 10, 2, 8, 2, 0, 0, 8]
    """
    leaves = current.shape[1]
    for tree in range(current.shape[0]):
        reference[tree, leaves:] = np.rint(current[tree] * times)
        sum_up(reference[tree])


@numba.njit(cache=True)
def next_window(current: NDArray[np.uint16], reference: NDArray[np.uint16]) -> None:
    """Make the current window the reference, and start an empty one."""
    leaves = current.shape[1]
    # A loop: assigning one array to another costs numba two seconds of compiling error messages.
    for tree in range(current.shape[0]):
        for leaf in range(leaves):
            reference[tree, leaves + leaf] = current[tree, leaf]
            current[tree, leaf] = 0
        sum_up(reference[tree])


@numba.njit(cache=True)
def learn_channels(
    values: NDArray[np.float64],
    seen: NDArray[np.int64],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
    smallest: NDArray[np.float64],
    largest: NDArray[np.float64],
) -> bool:
    """Move each channel's range, usual value and mean absolute deviation; missing ones stay.

    Returns:
        Whether a range has grown.
    """
    moved = False
    for c in range(values.size):
        value = values[c]
        if np.isnan(value):
            continue
        if seen[c] == 0:
            smallest[c] = largest[c] = mean[c] = value
            moved = True
        if value < smallest[c]:
            smallest[c] = value
            moved = True
        if value > largest[c]:
            largest[c] = value
            moved = True
        rate = max(1.0 / (seen[c] + 1), 1.0 / MEMORY)
        away = value - mean[c]
        most = CLIP * TO_STANDARD * deviation[c]
        # A channel that never moved has no deviation to be clipped by.
        if seen[c] >= SETTLED and most > 0.0:
            away = min(max(away, -most), most)
        mean[c] += rate * away
        deviation[c] += rate * (abs(away) - deviation[c])
        seen[c] += 1
    return moved


@numba.njit(cache=True)
def attribute(
    feature: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    height: int,
    window_size: int,
    learned: bool,
    seen: NDArray[np.int64],
    smallest: NDArray[np.float64],
    largest: NDArray[np.float64],
    current: NDArray[np.uint16],
    reference: NDArray[np.uint16],
    values: NDArray[np.float64],
    usual: NDArray[np.float64],
    score: float,
    part: NDArray[np.float64],
) -> None:
    """Ask what the score would be with usual values in the place of observed ones.

    A channel's `part` is the mean of what the score loses when only this channel is as usual, and
    of what the usual reading's score gains when only this channel is as observed; not below 0. For
    two channels that is their Shapley value, for more the mean of its two extreme orders.

    Args:
        feature: Of the forest.
        threshold: Of the forest.
        height: Of the forest.
        window_size: Readings in a window.
        learned: Whether features are scaled to the range so far.
        seen: Readings of each channel.
        smallest: Of each channel so far.
        largest: Of each channel so far.
        current: Of the device.
        reference: Of the device.
        values: The reading.
        usual: The usual reading, missing where the reading misses a channel.
        score: Of the reading.
        part: Takes each channel's part.
    """
    channels = values.size
    x, trial = np.empty(channels), np.empty(channels)
    leaves = np.empty(feature.shape[0], np.uint64)
    base = 0.0
    # First the usual reading, then for each channel it alone observed, then it alone usual.
    for turn in range(1 + 2 * channels):
        c = (turn - 1) >> 1
        for k in range(channels):
            as_observed = turn > 0 and (k == c) == bool(turn & 1)
            trial[k] = values[k] if as_observed else usual[k]
        scale(trial, learned, seen, smallest, largest, x)
        find_leaves(feature, threshold, height, current, x, leaves)
        found = score_leaves(height, window_size, reference, leaves)
        if turn == 0:
            base = found
        elif turn & 1:
            part[c] = found - base
        else:
            part[c] = max(0.5 * (part[c] + score - found), 0.0)


@kernel(
    types.void(
        given(types.uint16, 2),
        given(types.float64, 2),
        types.int64,
        types.int64,
        types.boolean,
        types.Array(types.float64, 1, "A", readonly=True),
        field(types.int64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.float64, 2),
        field(types.uint32, 1),
        field(types.uint32, 1),
        field(types.uint16, 3),
        field(types.uint16, 3),
        given(types.int32, 1),
        given(types.float64, 2),
        buffer(types.float64, 1),
        buffer(types.float64, 3),
    )
)
def observe_rows(
    feature: NDArray[np.uint16],
    threshold: NDArray[np.float64],
    height: int,
    window_size: int,
    learned: bool,
    alarm: NDArray[np.float64],
    seen: NDArray[np.int64],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
    smallest: NDArray[np.float64],
    largest: NDArray[np.float64],
    filled: NDArray[np.uint32],
    windows: NDArray[np.uint32],
    current: NDArray[np.uint16],
    reference: NDArray[np.uint16],
    device: NDArray[np.int32],
    values: NDArray[np.float64],
    score: NDArray[np.float64],
    reason: NDArray[np.float64],
) -> None:
    """Score, then learn, row by row.

    Args:
        feature: Of the forest.
        threshold: Of the forest.
        height: Of the forest.
        window_size: Readings in a window.
        learned: Whether features are scaled to the range so far.
        alarm: A device's score from here on is asked for its reason, shape `[devices]`.
        seen: Readings of each channel, shape `[devices, channels]`, as the next four.
        mean: Usual values.
        deviation: Mean absolute deviations from them.
        smallest: Smallest values so far.
        largest: Largest values so far.
        filled: Readings in the current window, shape `[devices]`.
        windows: Windows that are full, shape `[devices]`.
        current: Leaf counts of that window, shape `[devices, n_trees, 2**height]`.
        reference: Node counts of the one before it, shape `[devices, n_trees, 2**(height + 1)]`.
        device: Row of each reading.
        values: Shape `[n, channels]`.
        score: Takes the scores, NaN before the first full window.
        reason: Takes for alarms each channel's part of the score, usual value and mean absolute
            deviation, shape `[n, 3, channels]`; other rows stay as they are.
    """
    x, usual = np.empty(values.shape[1]), np.empty(values.shape[1])
    leaves = np.empty(feature.shape[0], np.uint64)
    for row in range(device.size):
        d = device[row]
        scale(values[row], learned, seen[d], smallest[d], largest[d], x)
        find_leaves(feature, threshold, height, current[d], x, leaves)
        score[row] = np.nan
        if windows[d] > 0:
            score[row] = score_leaves(height, window_size, reference[d], leaves)
        if score[row] >= alarm[d]:
            for c in range(usual.size):
                known = seen[d, c] > 0 and not np.isnan(values[row, c])
                usual[c] = mean[d, c] if known else np.nan
                reason[row, 1, c] = usual[c]
                reason[row, 2, c] = deviation[d, c]
            attribute(
                feature,
                threshold,
                height,
                window_size,
                learned,
                seen[d],
                smallest[d],
                largest[d],
                current[d],
                reference[d],
                values[row],
                usual,
                score[row],
                reason[row, 0],
            )
        moved = learn_channels(values[row], seen[d], mean[d], deviation[d], smallest[d], largest[d])
        if learned and moved:
            # River's scaler has learned before its trees do: their features are others now.
            scale(values[row], learned, seen[d], smallest[d], largest[d], x)
            find_leaves(feature, threshold, height, current[d], x, leaves)
        for tree in range(leaves.size):
            current[d, tree, leaves[tree]] += 1
        filled[d] += 1
        if filled[d] == window_size:
            next_window(current[d], reference[d])
            filled[d] = 0
            windows[d] += 1


@kernel(
    types.void(buffer(types.uint8, 2), given(types.int64, 1), given(types.int64, 1), types.int64)
)
def sum_leaves(
    state: NDArray[np.uint8], rows: NDArray[np.int64], leaves_at: NDArray[np.int64], height: int
) -> None:
    """Sum up the reference windows of some rows from their leaves, which are all a record holds.

    Args:
        state: The fleet as bytes, shape `[devices, bytes]`.
        rows: Which rows.
        leaves_at: Where the leaves of each tree start in a row, in bytes.
        height: Of the trees.
    """
    size = 2 << height
    for index in range(rows.size):
        row = state[rows[index]]
        for at in leaves_at:
            sum_up(row[at - size : at + size].view(np.uint16))
