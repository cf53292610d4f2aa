"""The default detector: leaf densities in bits, on features in which faults show."""

from eddyline.detectors.density.detector import Density
from eddyline.detectors.density.signs import Alarm

__all__ = ["Alarm", "Density"]
