"""A measured quantity of a device."""

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["double", "long", "boolean"]
KINDS: tuple[Kind, ...] = ("double", "long", "boolean")


@dataclass(frozen=True)
class Channel:
    """Name, physical limits, kind and unit of one measured quantity.

    Args:
        name: As the readings spell it.
        minimum: Smallest value that is physically possible, in `unit`.
        maximum: Largest value that is physically possible, in `unit`.
        kind: "double", "long" or "boolean"; a boolean reaches detectors as 0.0 or 1.0.
        unit: As it is shown to people, "" where there is none.

    Raises:
        ValueError: The name is empty, the kind unknown, or the limits not finite and ascending.

    Examples:
        >>> Channel("temperature", -40.0, 85.0, unit="°C")
        Channel(name='temperature', minimum=-40.0, maximum=85.0, kind='double', unit='°C')
        >>> Channel("humidity", 100.0, 0.0)
        Traceback (most recent call last):
            ...
        ValueError: channel humidity: limits must be finite and ascending, not 100.0 to 0.0
    """

    name: str
    minimum: float
    maximum: float
    kind: Kind = "double"
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("channel: the name is empty")
        if self.kind not in KINDS:
            raise ValueError(f"channel {self.name}: kind {self.kind!r} is none of {list(KINDS)}")
        # The width too: two limits of 1e308 lie further apart than a double can say.
        if not 0.0 < self.maximum - self.minimum < math.inf:
            raise ValueError(
                f"channel {self.name}: limits must be finite and ascending, "
                f"not {self.minimum} to {self.maximum}"
            )
