"""An Isolation Forest that was trained offline on the lake: one for the whole fleet."""

from eddyline.detectors.pretrained.detector import Pretrained

__all__ = ["Pretrained"]
