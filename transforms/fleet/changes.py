"""Changes: which devices of a fleet are no longer as the state has them."""

import numpy as np
from numpy.typing import NDArray

from eddyline.transforms.devices.admission import Admission


class Changes:
    """What changed of each device since the fleet's state was last written.

    Whoever changes a device's admission, model or course marks it here; a mark too many costs
    bytes, one too few would lose what was learned.

    Attributes:
        everything: What the state has is of no use for this fleet: it has to be written whole.
        devices: How many devices the state has: the first ones.
        admitted: By row, whether the admission changed.
        judged: By row, whether the model or the course changed.
    """

    def __init__(self) -> None:
        self.everything = True
        self.devices = 0
        self.admitted = np.zeros(0, np.bool_)
        self.judged = np.zeros(0, np.bool_)
        self._ids = np.zeros(0, np.int64)

    def grow(self, devices: int) -> None:
        """Make room for devices that are new."""
        more = devices - len(self.admitted)
        self.admitted = np.append(self.admitted, np.zeros(more, np.bool_))
        self.judged = np.append(self.judged, np.zeros(more, np.bool_))
        self._ids = np.append(self._ids, np.zeros(more, np.int64))

    def new_ids(self, admission: Admission, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many readings of each of these devices were admitted since."""
        return admission.admitted[rows] - self._ids[rows]

    def settle(self, admission: Admission) -> None:
        """Everything is in the state now."""
        self.everything = False
        self.devices = len(self.admitted)
        self._ids = admission.admitted.copy()
        self.admitted[:] = False
        self.judged[:] = False
