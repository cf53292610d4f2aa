"""A batch's channels as one matrix, as detectors and sums take them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def channel_values(readings: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.float64]:
    """Channel values of shape `[n, channels]`, C-contiguous: NaN where missing, booleans 0 and 1.

    A long beyond ±2^53 becomes the nearest double; -0.0 becomes 0.0, so that equal values have
    equal bits.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"open": [True, None], "passed": [2**60 + 1, 3]})
        >>> channel_values(batch, ["open", "passed"]).tolist()
        [[1.0, 1.152921504606847e+18], [nan, 3.0]]
    """
    values = np.empty((readings.num_rows, len(names)))
    for column, name in enumerate(names):
        doubles = readings.column(name).cast(pa.float64(), safe=False)
        np.add(doubles.to_numpy(zero_copy_only=False), 0.0, out=values[:, column])
    return values
