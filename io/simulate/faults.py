"""Planted faults: what goes wrong with which device, when, and by how much."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from eddyline.io.simulate.fleet import Fleet
from eddyline.io.simulate.quantities import QUANTITIES
from eddyline.io.simulate.signals import Signals
from eddyline.io.simulate.simulation import MINUTE, Simulation

Kind = Literal["spike", "stuck", "drift", "bias", "noise", "silence"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SPIKE_READINGS = (1, 6)
TAIL = 1 / 3  # of the shortest fault: normal time after one, unless the device never returns
NOISE_FACTOR = (6.0, 10.0)
NEVER_RETURNS = 0.4  # of the silent devices


class Fault(NamedTuple):
    """One planted fault of one device.

    Args:
        device_id: The device; it has no other fault.
        kind: spike (1 to 6 readings far off), stuck (the last value stays), drift (a ramp), bias
            (a shift), noise (much more of it), silence (no messages).
        channel: The channel it is in; None for silence, which is in all.
        start: Event time in µs of the first reading it changes, or would have changed.
        end: Event time in µs of the last one.
        magnitude: In the channel's unit, signed: of a spike or bias; of a drift at its end; of
            noise the standard deviation added. None for stuck and silence.
    """

    device_id: str
    kind: Kind
    channel: str | None
    start: int
    end: int
    magnitude: float | None


class Planted(NamedTuple):
    """The signals with faults in them, quantised and within the physical limits.

    `sent` is False where a device was silent. `spared` marks the spikes and their neighbours: the
    transport harms no reading there, or a fault of one reading would not be in the data at all.
    """

    values: NDArray[np.float64]  # [devices, readings, channels]
    sent: NDArray[np.bool_]  # [devices, readings]
    spared: NDArray[np.bool_]  # [devices, readings]
    faults: tuple[Fault, ...]  # by start


def plant(simulation: Simulation, fleet: Fleet, signals: Signals) -> Planted:
    """Plant the faults: at most one a device, the kinds in turn, none in the warm-up.

    Example:
        >>> from eddyline.io.simulate.fleet import draw_fleet
        >>> from eddyline.io.simulate.signals import healthy
        >>> simulation = Simulation(devices=18, hours=3.0)
        >>> fleet = draw_fleet(simulation)
        >>> faults = plant(simulation, fleet, healthy(simulation, fleet)).faults
        >>> sorted(fault.kind for fault in faults)
        ['bias', 'drift', 'noise', 'silence', 'spike', 'stuck']
    """
    rng = simulation.generator("faults")
    values = signals.values.copy()
    sent = np.ones(signals.event_time.shape, dtype=np.bool_)
    spared = np.zeros_like(sent)
    decimals = np.round(-np.log10(fleet.quantum)).astype(int)
    faulty = rng.permutation(simulation.devices)[: round(simulation.devices * simulation.faulty)]
    stuck: list[tuple[int, slice, int]] = []
    faults: list[Fault] = []
    for turn, device in enumerate(faulty.tolist()):
        kind = KINDS[turn % len(KINDS)]
        # The kinds in turn, and each kind through the channels in turn.
        channel = (turn + turn // len(KINDS)) % len(QUANTITIES)
        times = signals.event_time[device]
        hit = _hit(simulation, kind, times, rng)
        series = values[device, :, channel]
        magnitude: float | None = None
        if kind == "silence":
            sent[device, hit] = False
        elif kind == "stuck":
            stuck.append((device, hit, channel))
        else:
            magnitude = _magnitude(kind, fleet, device, channel, series[hit], rng)
            series[hit] += _deflection(kind, magnitude, len(series[hit]), rng)
        if kind == "spike":
            spared[device, max(0, hit.start - 2) : hit.stop + 2] = True
        faults.append(
            Fault(
                device_id=fleet.device_id[device],
                kind=kind,
                channel=None if kind == "silence" else QUANTITIES[channel].name,
                start=int(times[hit.start]),
                end=int(times[hit.stop - 1]),
                magnitude=magnitude,
            )
        )
    for channel, quantity in enumerate(QUANTITIES):
        measured = np.clip(values[:, :, channel], quantity.minimum, quantity.maximum)
        for places in np.unique(decimals[:, channel]).tolist():
            with_it = decimals[:, channel] == places
            values[with_it, :, channel] = np.round(measured[with_it], places)
    # After the quantum, so that the value that stays is the one that was last reported.
    for device, hit, channel in stuck:
        values[device, hit, channel] = values[device, hit.start - 1, channel]
    return Planted(
        values, sent, spared, tuple(sorted(faults, key=lambda f: (f.start, f.device_id)))
    )


def _hit(
    simulation: Simulation, kind: Kind, times: NDArray[np.int64], rng: np.random.Generator
) -> slice:
    """The readings the fault is in: after the warm-up, never the first reading of all."""
    from_hour, to_hour = simulation.warm_up, simulation.hours
    tail = TAIL * simulation.fault_minutes[0]
    if kind == "spike":
        low, high = SPIKE_READINGS
        count = int(rng.integers(low, high + 1))
        hours = count * simulation.cadence / 3600
    else:
        low, high = simulation.fault_minutes
        room = 60 * (to_hour - from_hour) - tail
        hours = rng.uniform(low, min(high, room)) / 60
        count = max(1, int(hours * 3600 / simulation.cadence))
    latest = to_hour - hours - tail / 60
    begin = simulation.start_time + int(rng.uniform(from_hour, latest) * 60 * MINUTE)
    first = max(1, int(np.searchsorted(times, begin)))
    last = min(len(times), first + count)
    if kind == "silence" and rng.random() < NEVER_RETURNS:
        last = len(times)
    return slice(min(first, last - 1), last)


def _magnitude(
    kind: Kind,
    fleet: Fleet,
    device: int,
    channel: int,
    series: NDArray[np.float64],
    rng: np.random.Generator,
) -> float:
    quantity = QUANTITIES[channel]
    if kind == "noise":
        return round(rng.uniform(*NOISE_FACTOR) * float(fleet.noise[device, channel]), 3)
    ranges = {"spike": quantity.spike, "bias": quantity.bias, "drift": quantity.drift}
    size = round(rng.uniform(*ranges[kind]), 3)
    up = bool(rng.random() < 0.5)
    # To the other side where it would leave the physical limits: that is another kind of trouble.
    margin = 1.2 * size
    if up and series.max() + margin > quantity.maximum:
        up = False
    elif not up and series.min() - margin < quantity.minimum:
        up = True
    return size if up else -size


def _deflection(
    kind: Kind, magnitude: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """What is added to each of the readings: [count]."""
    if kind == "spike":
        return magnitude * rng.uniform(0.9, 1.1, size=count)
    if kind == "drift":
        return magnitude * np.arange(1, count + 1) / count
    if kind == "noise":
        return rng.normal(0, magnitude, size=count)
    return np.full(count, magnitude)
