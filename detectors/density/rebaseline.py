"""An operator says that what a device does now is normal: its references move there at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.density.channel_features import GAUSS, floor

ACCEPTED = 0.999
"""Share of unchanged readings from which on no run is long."""
MAD_OF_STEPS = 0.7
"""Mean deviation over mean step of white noise: 1/√2."""
USUAL = 3.0
"""Deviations from the level up to which a channel is where it always was."""


def rebaseline(channels: NDArray[Any], device: Any) -> None:
    """Move the references of one device to its last values, and end its alarms.

    A channel that is where it always was keeps its level. In any other, level and season move by
    the same: the day keeps its shape; hours that have learned the new regime already stay. Where
    the steps have grown, usual deviations grow with them, and the noise head compares with the
    noise of now; a channel that stands still may go on doing so. Ranges, forests and warm-ups stay.

    Args:
        channels: Records of `state.CHANNEL`, `[channels]`, changed in place.
        device: A record of `state.DEVICE`, changed in place.
    """
    for channel in channels:
        if channel["seen"] > 0:
            _move(channel)
    device["held"] = 0
    device["persistent"] = 0.0
    device["on"] = device["calm"] = device["sign"] = 0


def _move(channel: Any) -> None:
    last = channel["last"]
    least = floor(channel["origin"] + last, channel["step"])
    if abs(channel["drift_fast"]) < USUAL:
        # Settled there: the mean of the last 30 readings is better than any one of them.
        scale = GAUSS * channel["medium_spread"] + least
        last = channel["medium"] + channel["drift_fast"] * scale
    shift = last - channel["level"]
    if abs(shift) > USUAL * (GAUSS * channel["level_spread"] + least):
        channel["level"] = last
        hours = channel["hours"]
        closer = np.abs(hours + shift - last) < np.abs(hours - last)
        hours[closer & (channel["hour_counts"] > 0)] += shift
    channel["reference"] = last
    deviation = MAD_OF_STEPS * channel["steps_fast"]
    for spread in ("level_spread", "season_spread", "reference_spread", "medium_spread"):
        channel[spread] = max(channel[spread], deviation)
    channel["steps_slow"] = max(channel["steps_slow"], channel["steps_fast"])
    channel["hold"] = channel["skipped"] = 0
    if channel["run"] > channel["longest"]:
        channel["longest"] = channel["run"]
        channel["same"] = max(channel["same"], ACCEPTED)
    channel["run"] = 0
    change = channel["noise_fast"] - channel["noise_slow"]
    channel["shifts"][channel["shift_counts"] > 0] += change
    channel["noise_slow"] = channel["noise_fast"]
    channel["medium"] = last
    channel["away_fast"] = channel["drift_fast"] = 0.0
