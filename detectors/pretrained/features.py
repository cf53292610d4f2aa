"""What the forest is given of a reading: the signs of each channel, as a matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.usual import LEVEL_SIGN, SEEN

VERSION = 1
"""Of what is computed here and in `usual.py`: a model is of use with its own version only."""
SIGNS = ("level", "innovation", "motion")
"""In the order of the columns of `usual.py` from `LEVEL_SIGN` on."""


def features_of(
    about: NDArray[np.float64],
    values: NDArray[np.float64],
    columns: Sequence[int],
    warm_up: int,
) -> NDArray[np.float32]:
    """Return the features of each reading; 0 is what a channel shows that does as usual.

    The features of a channel that is missing, or has shown fewer than `warm_up` values, are NaN.

    Args:
        about: As `observe_usual` returns it, shape `[n, COLUMNS, channels]`.
        values: The readings, shape `[n, channels]`.
        columns: Which channels, in the order of the model.
        warm_up: Values that a channel needs.

    Returns:
        Shape `[n, len(columns) * len(SIGNS)]`, a channel's together.

    Examples:
        >>> about = np.zeros((1, 8, 2))
        >>> about[0, SEEN], about[0, LEVEL_SIGN:, 0] = (60, 3), (0.5, 0.25, -0.75)
        >>> features_of(about, np.ones((1, 2)), [1, 0], warm_up=60).tolist()
        [[nan, nan, nan, 0.5, 0.25, -0.75]]
    """
    chosen = list(columns)
    ready = (about[:, SEEN, chosen] >= warm_up) & ~np.isnan(values[:, chosen])
    signs = about[:, LEVEL_SIGN : LEVEL_SIGN + len(SIGNS), :][:, :, chosen].transpose(0, 2, 1)
    features = np.where(ready[:, :, None], signs, np.nan).astype(np.float32)
    return features.reshape(len(about), len(chosen) * len(SIGNS))
