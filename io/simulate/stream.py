"""The whole: from a `Simulation` to the messages in the order they arrive, and the truth."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.accounting import Sent, account
from eddyline.io.simulate.faults import plant
from eddyline.io.simulate.fleet import Fleet, draw_fleet
from eddyline.io.simulate.malformed import IN_GATHERED, SINGLE_KINDS, bad_entry, malformed
from eddyline.io.simulate.outages import cut
from eddyline.io.simulate.payloads import encoded, members, rendered
from eddyline.io.simulate.readings import Readings, taken
from eddyline.io.simulate.signals import healthy
from eddyline.io.simulate.simulation import Simulation
from eddyline.io.simulate.transport import DUPLICATE_SECONDS, RESENT, SECOND, Passage, passage
from eddyline.io.simulate.truth import Truth


@dataclass(frozen=True, eq=False)
class Stream:
    """Everything that arrives, in order: `arrival_time` int64 µs, one payload each."""

    fleet: Fleet
    arrival_time: NDArray[np.int64]
    payloads: list[bytes]
    truth: Truth


def messages(simulation: Simulation) -> Iterator[tuple[int, bytes]]:
    r"""Arrival time (µs since the epoch, never falling) and payload of each message.

    The same messages in the same order as `write` puts into a file. All are made before the first
    one is given out: about 400 bytes of memory each.

    Example:
        >>> simulation = Simulation(devices=1, hours=0.1, faulty=0, malformed=0, seed=1)
        >>> arrival_time, payload = next(messages(simulation))
        >>> payload
        b'{"device_id":"harbour-001","timestamp":"2026-01-05T06:00:0...Z","temperature":...}'
    """
    stream = simulate(simulation)
    yield from zip(stream.arrival_time.tolist(), stream.payloads, strict=True)


def simulate(simulation: Simulation) -> Stream:
    """Let the fleet measure, fail and send."""
    fleet = draw_fleet(simulation)
    signals = healthy(simulation, fleet)
    planted, outages = cut(simulation, fleet, signals, plant(simulation, fleet, signals))
    readings = taken(simulation, signals, planted)
    fate = passage(simulation, readings)
    items = encoded(fleet, readings)
    kinds = _break(simulation, fleet, readings, fate, items)

    first, size = np.unique(fate.message, return_counts=True)
    payloads = [items[row] for row in first.tolist()]
    gathered = np.flatnonzero(size > 1)
    members_of = np.argsort(fate.message, kind="stable")
    begin = np.cumsum(size) - size
    for number in gathered.tolist():
        rows = members_of[begin[number] : begin[number] + size[number]]
        payloads[number] = b"[" + b",".join([items[row] for row in rows.tolist()]) + b"]"

    whole = ~np.isin(first, fate.message[fate.broken])
    again = _again(simulation, whole)
    rng = simulation.generator("redelivery")
    pause = (rng.uniform(*DUPLICATE_SECONDS, size=len(again)) * SECOND).astype(np.int64)
    for number in again.tolist():
        row = int(first[number])
        resent = size[number] == 1 and rng.random() < RESENT
        payloads.append(_otherwise(fleet, readings, row) if resent else payloads[number])
    arrival_time = fate.arrival_time[first]
    arrival_time = np.concatenate([arrival_time, arrival_time[again] + pause])
    order = np.argsort(arrival_time, kind="stable")
    payloads = [payloads[number] for number in order.tolist()]
    truth = account(
        simulation,
        [model.epoch for model in fleet.model],
        readings,
        fate,
        sent=Sent(
            messages=len(payloads),
            bytes=sum(map(len, payloads)),
            gathered=len(gathered) + int((size[again] > 1).sum()),
            duplicates=int(size[again].sum()),
            malformed=kinds,
        ),
        faults=planted.faults,
        outages=outages,
        doors=signals.doors,
    )
    return Stream(fleet, arrival_time[order], payloads, truth)


def _break(
    simulation: Simulation,
    fleet: Fleet,
    readings: Readings,
    fate: Passage,
    items: list[bytes],
) -> dict[str, int]:
    """Put something unusable in the place of the broken items; how many of each kind."""
    rng = simulation.generator("malformed")
    counts: dict[str, int] = {}
    shared = np.bincount(fate.message, minlength=len(readings))[fate.message] > 1
    # In turn, in an order without meaning: every kind appears as soon as there are enough.
    deal = rng.permutation(len(SINGLE_KINDS))
    singles = 0
    for row in rng.permutation(np.flatnonzero(fate.broken)).tolist():
        if shared[row]:
            kind = IN_GATHERED
            items[row] = bad_entry(rng)
        else:
            kind = SINGLE_KINDS[deal[singles % len(deal)]]
            singles += 1
            items[row] = malformed(kind, members(fleet, readings, row, epoch=False), rng)
        counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items()))


def _again(simulation: Simulation, whole: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of the messages that come twice: of the whole ones only."""
    rng = simulation.generator("duplicates")
    count = round(simulation.duplicates * len(whole))
    numbers = np.flatnonzero(whole)
    return rng.choice(numbers, size=min(count, len(numbers)), replace=False)


def _otherwise(fleet: Fleet, readings: Readings, row: int) -> bytes:
    epoch = fleet.model[int(readings.device[row])].epoch
    return rendered(members(fleet, readings, row, epoch=not epoch))
