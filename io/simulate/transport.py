"""The transport's mischief: delay, disorder, late and broken readings, gateways, redelivery."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.readings import Readings
from eddyline.io.simulate.simulation import MINUTE, Simulation

SECOND = 1_000_000  # µs
OVERTAKEN_BY = 3  # later readings of the device that arrive before a late one, at least
LATE_MINUTES = (2.0, 15.0)
DUPLICATE_SECONDS = (0.1, 60.0)
RESENT = 0.1  # of the duplicates: the device sends again and writes the time in the other way
GROUP = (2, 5)  # readings in a gathered message


@dataclass(frozen=True, eq=False)
class Passage:
    """What happens to every reading on its way: one entry a row of the readings.

    `message` is the number of the message a row travels in; the rows of a gathered message share
    one. A row that is not `late` arrives within the disorder bound; a late one is overtaken by at
    least three whole readings of its device. A `broken` row arrives as something else in its place.
    """

    late: NDArray[np.bool_]
    broken: NDArray[np.bool_]
    message: NDArray[np.int64]
    arrival_time: NDArray[np.int64]  # µs, the same for all rows of a message


def passage(simulation: Simulation, readings: Readings) -> Passage:
    """Decide each reading's fate."""
    late = _late(simulation, readings)
    message = _gathered(simulation, readings, alone=late)
    broken = _broken(simulation, readings, late, message)
    return Passage(late, broken, message, _arrival(simulation, readings, late, message))


def _late(simulation: Simulation, readings: Readings) -> NDArray[np.bool_]:
    """A share of the rows whose next readings all exist; never two near each other."""
    rng = simulation.generator("late")
    ahead = np.arange(len(readings)) + OVERTAKEN_BY
    inside = np.minimum(ahead, len(readings) - 1)
    unbroken = (
        (ahead < len(readings))
        & (readings.device[inside] == readings.device)
        & (readings.turn[inside] == readings.turn + OVERTAKEN_BY)
        & (readings.turn % (OVERTAKEN_BY + 1) == 0)
        & ~readings.spared
    )
    return _choose(rng, unbroken, round(simulation.late * len(readings)))


def _gathered(
    simulation: Simulation, readings: Readings, alone: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The message of each row: alone, or with its site's neighbours in time.

    All of a gathered message are taken within half the disorder bound. Sites are dealt out in
    turn, so the site of a device is its number modulo the sites.
    """
    rng = simulation.generator("gathered")
    message = np.arange(len(readings))
    wanted = round(simulation.gathered * len(readings))
    low, high = GROUP
    slots: list[NDArray[np.int64]] = []
    for site in range(simulation.sites):
        rows = np.flatnonzero((readings.device % simulation.sites == site) & ~alone)
        rows = rows[np.argsort(readings.event_time[rows], kind="stable")]
        count = len(rows) // high
        slots.extend(rows[: count * high].reshape(count, high))
    made = 0
    for slot in rng.permutation(len(slots)).tolist():
        if made == wanted:
            break
        group = slots[slot][: int(rng.integers(low, high + 1))]
        times = readings.event_time[group]
        group = group[times - times[0] <= simulation.disorder * SECOND / 2]
        if len(group) > 1:
            message[group] = group[0]
            made += 1
    return message


def _broken(
    simulation: Simulation,
    readings: Readings,
    late: NDArray[np.bool_],
    message: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """A share of the rows; not the ones that overtake a late reading, nor incomplete ones."""
    rng = simulation.generator("broken")
    may = ~late & ~readings.spared & ~np.isnan(readings.values).any(axis=1)
    for step in range(1, OVERTAKEN_BY + 1):
        may[step:] &= ~late[:-step]
    wanted = round(simulation.malformed * len(readings))
    # Few of them in gathered messages, at most one in each: there the neighbours are whole.
    sizes = np.bincount(message, minlength=len(readings))
    first = (sizes > 1) & may
    shared = _choose(rng, first, min(wanted // 20, round(0.5 * int(first.sum()))))
    single = _choose(rng, may & (sizes[message] == 1), wanted - int(shared.sum()))
    return shared | single


def _arrival(
    simulation: Simulation,
    readings: Readings,
    late: NDArray[np.bool_],
    message: NDArray[np.int64],
) -> NDArray[np.int64]:
    rng = simulation.generator("arrival")
    rows = len(readings)
    bound = round(simulation.disorder * SECOND)
    # Most messages take a part of a second; one in five meets a queue.
    quick = rng.exponential(0.3 * SECOND, size=rows)
    queued = rng.uniform(0, bound, size=rows)
    delay = np.where(rng.random(rows) < 0.2, queued, quick)
    oldest = readings.event_time.copy()
    newest = readings.event_time.copy()
    np.minimum.at(oldest, message, readings.event_time)
    np.maximum.at(newest, message, readings.event_time)
    arrival = np.minimum(newest + delay.astype(np.int64), oldest + bound)
    low, high = LATE_MINUTES
    # A slow fleet's late readings are later: three others have to come first.
    least = simulation.disorder * SECOND + (OVERTAKEN_BY + 1) * simulation.cadence * SECOND
    behind = rng.uniform(max(low * MINUTE, least), max(high * MINUTE, 2 * least), size=rows)
    arrival = np.where(late, readings.event_time + behind.astype(np.int64), arrival)
    return arrival[message]


def _choose(rng: np.random.Generator, allowed: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Exactly `count` of the allowed rows, or all where there are fewer."""
    chosen = np.zeros(len(allowed), dtype=np.bool_)
    rows = np.flatnonzero(allowed)
    chosen[rng.choice(rows, size=min(count, len(rows)), replace=False)] = True
    return chosen
