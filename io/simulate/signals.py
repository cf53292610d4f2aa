"""What healthy devices measure, and when: levels, the day, the weather, doors, noise."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.fleet import Fleet
from eddyline.io.simulate.quantities import QUANTITIES
from eddyline.io.simulate.simulation import MINUTE, Simulation

WEATHER_STEP = 5 * MINUTE
WEATHER_MEMORY = 3 * 60 * MINUTE
DOORS_AN_HOUR = 1.0
DOOR_LASTS = 30 * MINUTE


class Door(NamedTuple):
    """A door that was opened: nothing is wrong with the device. Times in µs since the epoch."""

    device_id: str
    start: int
    end: int


class Signals(NamedTuple):
    """`event_time` int64[devices, readings] in µs, `values` float64[devices, readings, channels].

    Values are exact: noise is in them, they are neither quantised nor clipped yet.
    """

    event_time: NDArray[np.int64]
    values: NDArray[np.float64]
    doors: tuple[Door, ...]


def healthy(simulation: Simulation, fleet: Fleet) -> Signals:
    """Let every device measure without a fault.

    Event times have whole milliseconds and rise strictly within a device.

    Example:
        >>> from eddyline.io.simulate.fleet import draw_fleet
        >>> simulation = Simulation(devices=2, sites=1, hours=1.0, faulty=0)
        >>> healthy(simulation, draw_fleet(simulation)).values.shape
        (2, 360, 3)
    """
    rng = simulation.generator("signals")
    event_time = _event_times(simulation)
    hour = event_time % (24 * 60 * MINUTE) / (60 * MINUTE)
    day = np.cos((hour - fleet.peak[:, None]) * (2 * np.pi / 24))
    values = fleet.level[:, None, :] + day[:, :, None] * fleet.daily[:, None, :]
    values += rng.normal(size=values.shape) * fleet.noise[:, None, :]

    grid, weather = _weather(simulation)
    for device in range(simulation.devices):
        for channel in range(len(QUANTITIES)):
            felt = np.interp(event_time[device], grid, weather[:, fleet.site[device], channel])
            values[device, :, channel] += fleet.gain[device] * felt

    doors: list[Door] = []
    for device in np.flatnonzero(fleet.door.any(axis=1)):
        for start in _openings(simulation, rng):
            minutes = (event_time[device] - start) / MINUTE
            near = (minutes > 0) & (minutes < DOOR_LASTS / MINUTE)
            # Quick to change, slow to come back; the peak is about 1.
            shape = 1.5 * (1 - np.exp(-minutes[near])) * np.exp(-minutes[near] / 6)
            size = rng.uniform(0.8, 1.2)
            values[device, near] += size * shape[:, None] * fleet.door[device]
            doors.append(Door(fleet.device_id[device], start, start + DOOR_LASTS))
    return Signals(event_time, values, tuple(doors))


def _event_times(simulation: Simulation) -> NDArray[np.int64]:
    rng = simulation.generator("event times")
    shape = (simulation.devices, simulation.readings_per_device)
    # Kept a jitter away from both ends of a turn, so that all lie inside the simulated time.
    low, high = simulation.jitter, simulation.cadence - simulation.jitter
    phase = rng.uniform(low, high, size=(simulation.devices, 1))
    jitter = rng.uniform(-simulation.jitter, simulation.jitter, size=shape)
    seconds = np.arange(shape[1]) * simulation.cadence + phase + jitter
    return simulation.start_time + np.floor(seconds * 1000).astype(np.int64) * 1000


def _weather(simulation: Simulation) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """An Ornstein-Uhlenbeck walk a site and channel: [steps], [steps, sites, channels]."""
    rng = simulation.generator("weather")
    scale = np.array([q.weather for q in QUANTITIES])
    grid = np.arange(simulation.start_time, simulation.end_time + 2 * WEATHER_STEP, WEATHER_STEP)
    kept = np.exp(-WEATHER_STEP / WEATHER_MEMORY)
    shocks = rng.normal(size=(len(grid), simulation.sites, len(QUANTITIES))) * scale
    walk = np.empty_like(shocks)
    walk[0] = shocks[0]
    for step in range(1, len(grid)):
        walk[step] = kept * walk[step - 1] + np.sqrt(1 - kept * kept) * shocks[step]
    return grid, walk


def _openings(simulation: Simulation, rng: np.random.Generator) -> list[int]:
    times: list[int] = []
    time = float(simulation.start_time)
    while True:
        # At least half an hour apart: one opening is over before the next.
        time += DOOR_LASTS + rng.exponential(60 * MINUTE / DOORS_AN_HOUR - DOOR_LASTS)
        if time >= simulation.end_time:
            return times
        times.append(int(time))
