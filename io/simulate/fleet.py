"""The devices: where each stands, which model it is, and what is usual for it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.quantities import QUANTITIES
from eddyline.io.simulate.simulation import Simulation


class Model(NamedTuple):
    """What devices of one make have in common: resolution and the form of their messages."""

    name: str
    quantum: float
    epoch: bool  # epoch milliseconds in place of RFC 3339
    message_id: bool


MODELS = (
    Model("brook-2", quantum=0.1, epoch=False, message_id=True),
    Model("weir-2", quantum=0.01, epoch=False, message_id=True),
    Model("weir-1", quantum=0.01, epoch=True, message_id=True),
    Model("brook-1", quantum=0.1, epoch=False, message_id=False),
)
IN_TWENTY = (12, 6, 1, 1)  # of each model

SITES = (
    ("harbour", 53.54, 9.97),
    ("mill", 48.39, 9.99),
    ("orchard", 47.66, 9.18),
    ("quarry", 50.35, 7.60),
    ("viaduct", 51.05, 13.74),
    ("lighthouse", 54.18, 12.08),
)


@dataclass(frozen=True, eq=False)
class Fleet:
    """One entry a device; `[devices, channels]` where a number belongs to a channel.

    `peak` is the hour of day (UTC) of a device's warmest time, `gain` how much of its site's
    weather it feels, `door` the deflection of each channel when its door is opened (0: no door).
    """

    device_id: tuple[str, ...]
    site: NDArray[np.int64]
    site_name: tuple[str, ...]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    model: tuple[Model, ...]
    level: NDArray[np.float64]
    noise: NDArray[np.float64]
    quantum: NDArray[np.float64]
    daily: NDArray[np.float64]
    peak: NDArray[np.float64]
    gain: NDArray[np.float64]
    door: NDArray[np.float64]


def draw_fleet(simulation: Simulation) -> Fleet:
    """Draw every device's own numbers.

    Example:
        >>> fleet = draw_fleet(Simulation(devices=3, sites=2, faulty=0))
        >>> fleet.device_id
        ('harbour-001', 'mill-001', 'harbour-002')
        >>> fleet.level.shape
        (3, 3)
    """
    rng = simulation.generator("fleet")
    devices, sites = simulation.devices, simulation.sites
    site = np.arange(devices) % sites
    known = SITES[:sites]
    further = range(len(known), sites)
    site_name = (*(name for name, _, _ in known), *(f"site-{n + 1:03d}" for n in further))
    place = np.concatenate(
        [
            np.array([spot[1:] for spot in known], dtype=np.float64),
            rng.uniform((47.5, 7.0), (54.0, 14.0), size=(len(further), 2)),
        ]
    )
    # A site's devices stand within a few hundred metres.
    spots = np.round(place[site] + rng.uniform(-0.003, 0.003, size=(devices, 2)), 6)

    deal = np.repeat(np.arange(len(MODELS)), IN_TWENTY)
    dealt = [rng.permutation(deal) for _ in range(-(-devices // len(deal)))]
    model = tuple(MODELS[number] for number in np.concatenate(dealt)[:devices])

    def drawn(ranges: list[tuple[float, float]]) -> NDArray[np.float64]:
        low, high = np.array(ranges, dtype=np.float64).T
        return rng.uniform(low, high, size=(devices, len(ranges)))

    site_level = rng.normal(0, [q.site for q in QUANTITIES], size=(sites, len(QUANTITIES)))
    with_door = rng.random(devices) < 0.25
    return Fleet(
        device_id=tuple(f"{site_name[s]}-{n // sites + 1:03d}" for n, s in enumerate(site)),
        site=site,
        site_name=site_name,
        latitude=spots[:, 0],
        longitude=spots[:, 1],
        model=model,
        level=drawn([q.level for q in QUANTITIES]) + site_level[site],
        noise=drawn([q.noise for q in QUANTITIES]),
        quantum=np.array([[m.quantum] * len(QUANTITIES) for m in model], dtype=np.float64),
        daily=drawn([q.daily for q in QUANTITIES]),
        peak=rng.uniform(12.0, 17.0, size=devices),
        gain=rng.uniform(0.6, 1.2, size=devices),
        door=drawn([q.door for q in QUANTITIES]) * with_door[:, None],
    )
