"""Records of the first recipe: what they hold is still true, so devices need no second warm-up."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.density.state import ADDED, CHANNEL_FIELDS, DEVICE, DEVICE_FIELDS
from eddyline.detectors.layout import Layout
from eddyline.detectors.record import RecordCodec

CHANNEL_1 = tuple(field for field in CHANNEL_FIELDS if field[0] not in ADDED["channel"])
DEVICE_1 = np.dtype([field for field in DEVICE_FIELDS if field[0] not in ADDED["device"]])


def decode_recipe_1(
    record: bytes, state: NDArray[Any], row: int, codec: RecordCodec, settings: bytes
) -> None:
    """Fill one row from a record of recipe 1.

    What recipe 2 keeps besides begins where the level stands: the last hour there, the longest run
    at the present one, no troubles counted, the cadence not known.

    Args:
        record: As the first recipe wrote it.
        state: The fleet, changed in place.
        row: Which row; fresh.
        codec: Of recipe 2.
        settings: Hash of the same settings under recipe 1.

    Raises:
        RecordRefused: It is none of recipe 1 either.
    """
    layout = Layout(
        channels=codec.layout.channels,
        channel=CHANNEL_1,
        device=(("device", f"V{DEVICE_1.itemsize}"),),
        counters=codec.layout.counters,
    )
    old = layout.new(1)
    replace(codec, settings=settings, layout=layout).decode(record, old, 0)
    for name, _ in CHANNEL_1:
        state["channel"][name][row] = old["channel"][name][0]
    device, before = state["device"].view(DEVICE)[row], old["device"].view(DEVICE_1)[0]
    for name in DEVICE_1.names or ():
        device[name] = before[name]
    state["mass"][row] = old["mass"][0]
    channel = state["channel"][row]
    channel["longest"] = channel["run"]
    channel["medium"] = channel["level"]
    channel["medium_spread"] = channel["level_spread"]
    # As far as from the level is farther than within an hour: strict until it has learned better.
    channel["drift_slow"] = channel["away_slow"]
    channel["drift_spread"] = channel["away_spread"]
