"""Beyond hard limits: which, by how much, in words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eddyline.schemas.channel import Channel
from eddyline.transforms.incidents.trouble import Cause

Limits = tuple[NDArray[np.float64], NDArray[np.float64]]


def beyond_limits(
    names: Sequence[str],
    values: NDArray[np.float64],
    channels: Sequence[Channel],
    limits: Limits | None,
) -> Cause:
    """The cause of an `out_of_limits`.

    Args:
        names: The channels beyond their limits, from the enriched reading.
        values: Of all channels.
        channels: The declared channels.
        limits: Lower and upper limits by channel; None if the registry has them no longer.
    """
    first = names[0]
    at = next(number for number, channel in enumerate(channels) if channel.name == first)
    value, unit = float(values[at]), channels[at].unit
    told = f"{first} {_number(value, unit)}"
    low, high = (-np.inf, np.inf) if limits is None else (limits[0][at], limits[1][at])
    if value > high:
        told += f" is above its limit of {_number(high, unit)}"
    elif value < low:
        told += f" is below its limit of {_number(low, unit)}"
    else:
        told += " is outside the limits of its model"
    if len(names) > 1:
        told += f", and {', '.join(names[1:])}"
    return Cause(
        "limit",
        tuple(names),
        value,
        None,
        float(low) if np.isfinite(low) else None,
        float(high) if np.isfinite(high) else None,
        told,
    )


def _number(value: float, unit: str) -> str:
    return f"{value:.6g}" if unit in ("", "1") else f"{value:.6g} {unit}"
