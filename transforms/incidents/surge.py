"""Surge: how strange a device was lately, for alarms that come some readings after their cause."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.kernel import buffer, field, given, kernel

DECAY = 0.98
"""A reading: half of it is left after 34."""


@kernel(
    types.void(
        given(types.int32, 1),
        given(types.float64, 1),
        field(types.float64, 1),
        field(types.float64, 1),
        buffer(types.float64, 1),
    )
)
def surge(
    device: NDArray[np.int32],
    score: NDArray[np.float64],
    threshold: NDArray[np.float64],
    recent: NDArray[np.float64],
    strength: NDArray[np.float64],
) -> None:
    """Follow each device's highest recent score, as a multiple of its threshold.

    Args:
        device: Row of each reading's device, shape `[n]`.
        score: NaN where there is none, shape `[n]`.
        threshold: Shape `[devices]`.
        recent: Of each device the highest score lately, fading by the reading; changed in place.
        strength: Takes it as it is after each reading, shape `[n]`.

    Example:
        >>> recent, strength = np.zeros(1), np.empty(3)
        >>> score, threshold = np.array([4.5, 0.1, np.nan]), np.full(1, 9.0)
        >>> surge(np.zeros(3, np.int32), score, threshold, recent, strength)
        >>> strength.round(3).tolist()
        [0.5, 0.49, 0.48]
    """
    for row in range(len(device)):
        d = device[row]
        faded = DECAY * recent[d]
        now = score[row] / threshold[d] if threshold[d] > 0.0 else 0.0
        recent[d] = now if now > faded else faded
        strength[row] = recent[d]
