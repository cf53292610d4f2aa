"""Outages: a site's gateway is gone for a while, and all its devices are silent at once."""

from typing import NamedTuple

import numpy as np

from eddyline.io.simulate.faults import Planted
from eddyline.io.simulate.fleet import Fleet
from eddyline.io.simulate.signals import Signals
from eddyline.io.simulate.simulation import MINUTE, Simulation

CLEAR = 1.25
"""Times the outage, between it and any fault of the site: two troubles are told apart."""


class Outage(NamedTuple):
    """One site without a word.

    Args:
        site: The site.
        devices: How many devices it has.
        start: Event time in µs of the first instant without readings.
        end: Of the last one.
    """

    site: str
    devices: int
    start: int
    end: int


def cut(
    simulation: Simulation, fleet: Fleet, signals: Signals, planted: Planted
) -> tuple[Planted, tuple[Outage, ...]]:
    """Take the readings of whole sites away, where and when no device there has a fault.

    Guarantee: the planted faults and every other reading stay as they were. No site has two
    outages; where faults leave no room there are fewer than the simulation asks for.

    Returns:
        The same with less of `sent`, and the outages by start.

    Example:
        >>> from eddyline.io.simulate.fleet import draw_fleet
        >>> from eddyline.io.simulate.faults import plant
        >>> from eddyline.io.simulate.signals import healthy
        >>> simulation = Simulation(devices=8, sites=2, hours=3.0, outages=1, faulty=0)
        >>> fleet = draw_fleet(simulation)
        >>> signals = healthy(simulation, fleet)
        >>> _, outages = cut(simulation, fleet, signals, plant(simulation, fleet, signals))
        >>> outages[0].devices, (outages[0].end - outages[0].start) / MINUTE
        (4, 12.0)
    """
    rng = simulation.generator("outages")
    sent, found = planted.sent.copy(), list[Outage]()
    length = round(simulation.outage_minutes * MINUTE)
    clear = round(CLEAR * length)
    first = simulation.start_time + round(simulation.warm_up * 60 * MINUTE) + clear
    places = np.arange(first, simulation.end_time - length - clear, min(MINUTE, length))
    for site in rng.permutation(simulation.sites).tolist():
        if len(found) == simulation.outages:
            break
        here = np.flatnonzero(fleet.site == site)
        names = {fleet.device_id[device] for device in here.tolist()}
        free = np.ones(len(places), dtype=np.bool_)
        for fault in planted.faults:
            if fault.device_id in names:
                free &= (places + length + clear < fault.start) | (places - clear > fault.end)
        if not free.any():
            continue
        start = int(rng.choice(places[free]))
        time = signals.event_time[here]
        sent[here] &= (time < start) | (time > start + length)
        found.append(Outage(fleet.site_name[site], len(here), start, start + length))
    return planted._replace(sent=sent), tuple(sorted(found, key=lambda outage: outage.start))
