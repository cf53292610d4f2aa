"""The readings that devices send, as one table: before the transport touches them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.faults import Planted
from eddyline.io.simulate.quantities import QUANTITIES
from eddyline.io.simulate.signals import Signals
from eddyline.io.simulate.simulation import Simulation


@dataclass(frozen=True, eq=False)
class Readings:
    """One row a reading, ordered by device, then event time.

    `turn` counts a device's readings, those of a silence too, so a gap shows in it. A value that
    is missing is NaN. `spared` rows arrive whole and in time.
    """

    device: NDArray[np.int64]
    turn: NDArray[np.int64]
    event_time: NDArray[np.int64]  # µs
    values: NDArray[np.float64]  # [rows, channels]
    spared: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.device)


def taken(simulation: Simulation, signals: Signals, planted: Planted) -> Readings:
    """The readings outside the silences, a share of them without one of the channels."""
    rng = simulation.generator("missing")
    device, turn = np.nonzero(planted.sent)
    values = planted.values[planted.sent]
    spared = planted.spared[planted.sent]
    lacking = np.flatnonzero((rng.random(len(device)) < simulation.missing) & ~spared)
    values[lacking, rng.integers(len(QUANTITIES), size=len(lacking))] = np.nan
    return Readings(device, turn, signals.event_time[planted.sent], values, spared)
