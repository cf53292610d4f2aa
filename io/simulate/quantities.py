"""The three channels of the simulated devices: what is physical, what is usual, what is a fault."""

from typing import NamedTuple

Range = tuple[float, float]


class Quantity(NamedTuple):
    """A channel; every number is in the channel's unit.

    `minimum` and `maximum` are the physical limits that every valid value keeps. Ranges are what a
    device's own value is drawn from: its level, the size of its noise, of its daily cycle, and of
    each kind of fault. `site` and `weather` are standard deviations: of the sites' levels and of
    the slow weather that the devices of a site share.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    level: Range
    site: float
    noise: Range
    daily: Range
    weather: float
    door: Range
    spike: Range
    bias: Range
    drift: Range


QUANTITIES = (
    Quantity(
        name="temperature",
        unit="°C",
        minimum=-40.0,
        maximum=85.0,
        level=(17.0, 25.0),
        site=1.5,
        noise=(0.07, 0.15),
        daily=(0.3, 1.2),
        weather=0.3,
        door=(-0.9, -0.4),
        spike=(6.0, 15.0),
        bias=(2.0, 4.0),
        drift=(3.0, 6.0),
    ),
    Quantity(
        name="humidity",
        unit="%",
        minimum=0.0,
        maximum=100.0,
        level=(32.0, 58.0),
        site=3.0,
        noise=(0.15, 0.4),
        daily=(0.8, 3.0),
        weather=1.0,
        door=(1.0, 2.5),
        spike=(15.0, 30.0),
        bias=(7.0, 12.0),
        drift=(10.0, 18.0),
    ),
    Quantity(
        name="pressure",
        unit="hPa",
        minimum=300.0,
        maximum=1100.0,
        level=(1010.0, 1013.0),
        site=9.0,
        noise=(0.07, 0.15),
        daily=(0.2, 0.6),
        weather=0.8,
        door=(0.0, 0.0),
        spike=(15.0, 40.0),
        bias=(4.0, 8.0),
        drift=(6.0, 12.0),
    ),
)
"""Temperature, humidity, pressure: the order of the columns of every value matrix here."""
