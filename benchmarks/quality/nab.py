"""NAB's scoring rules: one number for a corpus of series with anomaly windows.

Written from the rules as published: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection
Algorithms: the Numenta Anomaly Benchmark", ICMLA 2015, and the benchmark's description of itself.
A detection is a row whose score reaches the threshold, and the threshold is one for the corpus.

* The first 15 % of a series, of at most 5,000 rows, are for learning; nothing there counts.
* The first detection inside a window counts, the earlier the more; further ones add nothing.
* A window without a detection costs `false_negative`.
* Every detection outside costs up to `false_positive`, less of it shortly behind a window.
* 0 is what a detector without detections gets, 100 one that detects each window at its first row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PROBATION_SHARE = 0.15
PROBATION_OF = 5_000
FAR = 3.0
"""From this many window widths behind a window, a false positive costs all of its weight."""


class Profile(NamedTuple):
    """What a detection and a miss are worth."""

    true_positive: float = 1.0
    false_positive: float = 0.11
    false_negative: float = 1.0


STANDARD = Profile()


class Scored(NamedTuple):
    """A detector's scores for one series, beside the series' anomaly windows.

    Args:
        scores: float64 `[n]`; NaN is never a detection.
        windows: First and last row of each window, both inside it, ascending.
    """

    scores: NDArray[np.float64]
    windows: Sequence[tuple[int, int]]


class Optimum(NamedTuple):
    """The best score any single threshold reaches over a corpus, and the highest such threshold."""

    score: float
    threshold: float


def probation(rows: int) -> int:
    """Return how many rows at the start of a series are not scored.

    Examples:
        >>> probation(1000), probation(22695)
        (150, 750)
    """
    return int(PROBATION_SHARE * min(rows, PROBATION_OF))


def scaled_sigmoid(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the worth of a detection by its position relative to a window.

    Args:
        position: In window widths: -1 is the window's left edge, 0 just behind its right edge.

    Examples:
        >>> scaled_sigmoid(np.array([-1.0, -0.5, 0.0, 1.0, 3.0])).round(4).tolist()
        [0.9866, 0.8483, 0.0, -0.9866, -1.0]
    """
    worth = 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, FAR))) - 1.0
    return np.where(position >= FAR, -1.0, worth)


def worths(
    rows: int, windows: Sequence[tuple[int, int]], profile: Profile = STANDARD
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what a detection at each row is worth, and the window it falls into.

    Returns:
        The worth, float64 `[rows]`, and the window's number, int64 `[rows]`, -1 outside of all.

    Examples:
        >>> worth, window = worths(6, [(2, 4)])
        >>> window.tolist()
        [-1, -1, 0, 0, 0, -1]
        >>> worth.round(3).tolist()
        [-0.11, -0.11, 1.0, 0.944, 0.692, -0.093]
    """
    position = np.full(rows, FAR)
    window = np.full(rows, -1, np.int64)
    row = np.arange(rows)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        # The rules count the width with both edges inside a window and one less behind it.
        position[last + 1 :] = (row[last + 1 :] - last) / max(width - 1, 1)
        position[first : last + 1] = (row[first : last + 1] - last - 1) / width
        window[first : last + 1] = number
    inside = scaled_sigmoid(position) / scaled_sigmoid(np.array([-1.0])) * profile.true_positive
    return np.where(window >= 0, inside, scaled_sigmoid(position) * profile.false_positive), window


class _Steps(NamedTuple):
    """The corpus score as a function of the threshold, before normalising."""

    threshold: NDArray[np.float64]
    """Descending, each distinct score of the corpus once."""
    gain: NDArray[np.float64]
    """Score above that of no detections once all rows down to the threshold are detections."""
    range: float
    """Gain of the perfect detector."""


def _steps(corpus: Sequence[Scored], profile: Profile) -> _Steps:
    scores: list[NDArray[np.float64]] = []
    changes: list[NDArray[np.float64]] = []
    windows = 0
    for series in corpus:
        windows += len(series.windows)
        worth, window = worths(len(series.scores), series.windows, profile)
        counted = ~np.isnan(series.scores)
        counted[: probation(len(series.scores))] = False
        score = series.scores[counted]
        change = worth[counted]
        window = window[counted]
        for number in range(len(series.windows)):
            # A window is worth its best detection so far, so a row only adds what it adds to that.
            inside = np.flatnonzero(window == number)
            inside = inside[np.argsort(-score[inside], kind="stable")]
            best = np.maximum.accumulate(change[inside])
            change[inside] = np.diff(best, prepend=-profile.false_negative)
        scores.append(score)
        changes.append(change)
    score = np.concatenate(scores) if scores else np.empty(0)
    order = np.argsort(-score, kind="stable")
    score = score[order]
    gain = np.cumsum(np.concatenate(changes)[order]) if scores else np.empty(0)
    last_of_equals = np.append(score[1:] != score[:-1], True)[: len(score)]
    return _Steps(
        score[last_of_equals],
        gain[last_of_equals],
        windows * (profile.true_positive + profile.false_negative),
    )


def optimum(corpus: Sequence[Scored], profile: Profile = STANDARD) -> Optimum:
    """Return the score at the one threshold that serves the whole corpus best.

    At worst the score is 0 at an infinite threshold: no detections.

    Raises:
        ValueError: The corpus has no window, so that the scale is undefined.

    Examples:
        >>> scores = np.zeros(100)
        >>> scores[40] = 1.0
        >>> optimum([Scored(scores, [(40, 49)])])
        Optimum(score=100.0, threshold=1.0)
    """
    steps = _steps(corpus, profile)
    if not steps.range:
        raise ValueError("nab: a corpus without anomaly windows has no score")
    if not len(steps.gain) or steps.gain.max() <= 0.0:
        return Optimum(0.0, float("inf"))
    best = int(np.argmax(steps.gain))
    return Optimum(100.0 * float(steps.gain[best]) / steps.range, float(steps.threshold[best]))


def at_threshold(corpus: Sequence[Scored], threshold: float, profile: Profile = STANDARD) -> float:
    """Return the score at a threshold given in advance; it can be far below 0.

    Raises:
        ValueError: The corpus has no window, so that the scale is undefined.

    Examples:
        >>> at_threshold([Scored(np.zeros(100), [(40, 49)])], threshold=1.0)
        0.0
    """
    steps = _steps(corpus, profile)
    if not steps.range:
        raise ValueError("nab: a corpus without anomaly windows has no score")
    reached = int(np.searchsorted(-steps.threshold, -threshold, side="right"))
    return 100.0 * float(steps.gain[reached - 1]) / steps.range if reached else 0.0
