"""Detectors by name."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Density
from eddyline.detectors.endpoint import Endpoint
from eddyline.detectors.half_space_trees import HalfSpaceTrees
from eddyline.detectors.moving_average import MovingAverage
from eddyline.detectors.pretrained import Pretrained
from eddyline.detectors.protocol import Detector

DETECTORS: dict[str, Callable[..., Detector]] = {
    detector.name: detector
    for detector in (Density, HalfSpaceTrees, MovingAverage, Pretrained, Endpoint)
}


def setting_names(name: str) -> tuple[str, ...]:
    """Return the names of a detector's settings.

    Examples:
        >>> setting_names("moving_average")
        ('threshold', 'window')
    """
    constructor: Any = DETECTORS[name]
    settings = (field for field in fields(constructor) if field.init)
    return tuple(field.name for field in settings if field.name != "channels")


def make_detector(name: str, channels: Sequence[Channel], /, **settings: Any) -> Detector:
    """Return the detector of this name with these settings, the others at their defaults.

    Args:
        name: One of `DETECTORS`.
        channels: What the columns of the readings are.
        settings: By name; see the detector's docstring.

    Raises:
        ValueError: Name or setting are unknown (the message names the choices), or a setting's
            value is refused by the detector.

    Examples:
        >>> temperature = Channel("temperature", -40.0, 85.0)
        >>> make_detector("moving_average", [temperature], window=30).name
        'moving_average'
        >>> make_detector("moving_average", [temperature], windows=30)
        Traceback (most recent call last):
            ...
        ValueError: detector moving_average: no setting 'windows', choose from threshold, window
    """
    if name not in DETECTORS:
        raise ValueError(f"detector: {name!r} is unknown, choose from {', '.join(DETECTORS)}")
    for setting in settings:
        if setting not in setting_names(name):
            raise ValueError(
                f"detector {name}: no setting {setting!r}, "
                f"choose from {', '.join(setting_names(name))}"
            )
    return DETECTORS[name](tuple(channels), **settings)
