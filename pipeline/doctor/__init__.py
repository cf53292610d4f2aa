"""Doctor: what a run would stumble over, found before it starts."""

from eddyline.pipeline.doctor.check import Check
from eddyline.pipeline.doctor.examine import doctor

__all__ = ["Check", "doctor"]
