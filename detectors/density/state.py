"""What is kept of one device between two readings.

float32 where the scores allow it: a channel's values are kept relative to its first one, so a
counter at 10^9 that moves by 0.1 loses nothing. Kernels load into float64, store into these, and so
a record holds exactly what the next reading would have found in memory.
"""

import numpy as np

from eddyline.detectors.density.heads import SHIFTS
from eddyline.detectors.density.season import HOURS
from eddyline.detectors.layout import Counters, Layout

FORESTS = 3
"""F1: place and season; F2: place and volatility; F3: level and volatility."""

CHANNEL_FIELDS = (
    ("origin", "<f8"),
    ("last", "<f4"),
    ("step", "<f4"),
    ("low", "<f4"),
    ("high", "<f4"),
    ("level", "<f4"),
    ("level_spread", "<f4"),
    ("reference", "<f4"),
    ("reference_spread", "<f4"),
    ("season_spread", "<f4"),
    ("steps_slow", "<f4"),
    ("steps_fast", "<f4"),
    ("same", "<f4"),
    ("noise_fast", "<f4"),
    ("noise_slow", "<f4"),
    ("noise_spread", "<f4"),
    ("away_fast", "<f4"),
    ("away_slow", "<f4"),
    ("away_spread", "<f4"),
    ("seen", "<u4"),
    ("run", "<u4"),
    ("longest", "<f4"),
    ("habit", "<f4"),
    ("medium", "<f4"),
    ("medium_spread", "<f4"),
    ("drift_fast", "<f4"),
    ("drift_slow", "<f4"),
    ("drift_spread", "<f4"),
    ("quiet", "<u4"),
    ("hold", "<u2"),
    ("skipped", "<u2"),
    ("hours", f"({HOURS},)<f4"),
    ("shifts", f"({SHIFTS},)<f4"),
    ("shift_counts", f"({SHIFTS},)<u2"),
    ("hour_counts", f"({HOURS},)u1"),
)
DEVICE_FIELDS = (
    ("last_time", "<i8"),
    ("peak_time", "<i8"),
    ("seen", "<u4"),
    ("peak", "<f4"),
    ("habit", "<f4"),
    ("usual", "<f4"),
    ("persistent", "<f4"),
    ("cadence", "<f4"),
    ("born", "<f4"),
    ("age", "<u2"),
    ("since", "<u2"),
    ("held", "<u2"),
    ("learned", f"({FORESTS},)<u2"),
    ("calm", "u1"),
    ("on", "u1"),
    ("sign", "u1"),
    ("named", "u1"),
    ("shift_counts", f"({SHIFTS},)<u2"),
    ("shifts", f"({SHIFTS},)<f4"),
)
CHANNEL = np.dtype(list(CHANNEL_FIELDS))
DEVICE = np.dtype(list(DEVICE_FIELDS))

ADDED = {
    "channel": (
        "longest",
        "habit",
        "medium",
        "medium_spread",
        "drift_fast",
        "drift_slow",
        "drift_spread",
        "quiet",
    ),
    "device": ("cadence", "born"),
}
"""Fields that recipe 2 has and recipe 1 had not."""


def lay_out_state(channels: int, trees: int, height: int) -> Layout:
    """Return the layout of a device's model; a device that has seen nothing is all zero.

    The device's scalars lie in the row as one opaque field, so that kernels compiled for `DEVICE`
    serve any number of channels: `state["device"].view(DEVICE)`.

    Examples:
        >>> layout = lay_out_state(3, trees=10, height=6)
        >>> layout.plain, layout.dtype.itemsize
        (936, 4776)
    """
    return Layout(
        channels=channels,
        channel=CHANNEL_FIELDS,
        device=(("device", f"V{DEVICE.itemsize}"),),
        counters=(Counters("mass", (FORESTS, trees, 2**height)),),
    )
