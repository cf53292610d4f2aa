"""The thresholds of a fleet: a detector's own, or those an operator has set device by device."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def resolve_thresholds(
    own: Sequence[float], given: NDArray[np.float64] | None, devices: int
) -> NDArray[np.float64]:
    """Return one threshold a device and kind, shape `[devices, kinds]`, read-only.

    Args:
        own: The detector's, one a kind.
        given: By row of the fleet; NaN where the detector's own counts, infinity for never. None
            is the detector's own for all.
        devices: Rows of the fleet.

    Raises:
        ValueError: The shape does not agree.

    Examples:
        >>> resolve_thresholds((1.7, 9.0), None, devices=2).tolist()
        [[1.7, 9.0], [1.7, 9.0]]
        >>> resolve_thresholds((1.7, 9.0), np.array([[np.nan, 12.0]]), devices=1).tolist()
        [[1.7, 12.0]]
    """
    fleet = np.broadcast_to(np.asarray(own, np.float64), (devices, len(own)))
    if given is None:
        return fleet
    chosen = np.asarray(given, np.float64)
    if chosen.shape != fleet.shape:
        raise ValueError(f"thresholds: shape {chosen.shape} where {fleet.shape} is needed")
    resolved = np.where(np.isnan(chosen), fleet, chosen)
    resolved.setflags(write=False)
    return resolved
