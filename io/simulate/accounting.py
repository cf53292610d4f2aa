"""Counting what was sent, from the decisions and not from the bytes: tests count the bytes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from eddyline.io.simulate.faults import Fault
from eddyline.io.simulate.outages import Outage
from eddyline.io.simulate.quantities import QUANTITIES
from eddyline.io.simulate.readings import Readings
from eddyline.io.simulate.signals import Door
from eddyline.io.simulate.simulation import MINUTE, Simulation
from eddyline.io.simulate.transport import Passage
from eddyline.io.simulate.truth import Truth


class Sent(NamedTuple):
    """What only the making of the messages knows; the names are those of `Truth`."""

    messages: int
    bytes: int
    gathered: int
    duplicates: int
    malformed: dict[str, int]


def account(
    simulation: Simulation,
    epoch: Sequence[bool],
    readings: Readings,
    fate: Passage,
    sent: Sent,
    faults: tuple[Fault, ...],
    outages: tuple[Outage, ...],
    doors: tuple[Door, ...],
) -> Truth:
    """The truth about a stream.

    Args:
        simulation: What was simulated.
        epoch: For each device, whether it writes its timestamps as a number.
        readings: All readings, also those that arrive as something else.
        fate: What happened to each.
        sent: What was sent.
        faults: The planted faults.
        outages: The outages of sites.
        doors: The openings of doors.
    """
    valid = ~fate.broken
    device, event_time = readings.device[valid], readings.event_time[valid]
    lacking = np.isnan(readings.values[valid]).sum(axis=0).tolist()
    minutes = np.unique(np.stack([device, event_time // MINUTE]), axis=1).shape[1]
    return Truth(
        devices=simulation.devices,
        start=simulation.start_time,
        end=simulation.end_time,
        messages=sent.messages,
        bytes=sent.bytes,
        gathered=sent.gathered,
        items=len(readings) + sent.duplicates,
        readings=len(device),
        duplicates=sent.duplicates,
        malformed=sent.malformed,
        late=int(fate.late.sum()),
        out_of_order=_overtaken(readings, fate),
        disorder=simulation.disorder,
        epoch=int(np.array(epoch)[device].sum()),
        missing={q.name: count for q, count in zip(QUANTITIES, lacking, strict=True)},
        minutes=minutes,
        faults=faults,
        outages=outages,
        doors=doors,
    )


def _overtaken(readings: Readings, fate: Passage) -> int:
    """How many whole readings that are not late find a later one of their device already there."""
    order = np.lexsort((readings.event_time, fate.arrival_time, readings.device))
    order = order[~fate.broken[order]]
    starts = np.flatnonzero(np.diff(readings.device[order])) + 1
    count = 0
    for rows in np.split(order, starts):
        newest = np.maximum.accumulate(readings.event_time[rows])
        count += int(((readings.event_time[rows] < newest) & ~fate.late[rows]).sum())
    return count
