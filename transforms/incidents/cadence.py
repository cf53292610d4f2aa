"""Cadence: how often each device reports, learned from its own readings."""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.kernel import buffer, field, given, kernel
from eddyline.transforms.devices.admission import NEVER

NOT_DUE = 2**62
READY_GAPS = 10
READY_SPAN = 600_000_000
"""Microseconds a device is watched, too, before its cadence is known: a burst is no cadence."""
MEMORY = 200.0
"""Gaps."""
OUTAGE = 3.0
"""Times the longest usual gap from where on a gap is an outage and not a habit."""
GROWTH = 1.5
"""How far one gap can move the longest usual one."""
FORGET = 1000.0
"""Readings over which a device that was held up is trusted again."""


class Cadence(NamedTuple):
    """What is known of each device's cadence: arrays with one row a device.

    Args:
        first: Event time of the first reading in order, microseconds.
        last: Of the last one.
        gaps: How many gaps between two readings were seen.
        longest: The longest usual gap, microseconds.
        mean: Mean gap, microseconds.
        square: Mean of the squared gaps.
        held: How long the device's readings were held up on their way when it seemed silent and
            was not, microseconds; 0 for never.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    gaps: NDArray[np.int64]
    longest: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    held: NDArray[np.float64]


class Gaps(NamedTuple):
    """What each reading says of the gap before it: arrays with one row a reading.

    Args:
        due: When its device became silent before it; NOT_DUE where it did not.
        last: Event time of the reading before it, where it did.
        usual: Its usual gap then, see `usual_gap`.
    """

    due: NDArray[np.int64]
    last: NDArray[np.int64]
    usual: NDArray[np.float64]


def new_cadence(devices: int) -> Cadence:
    """Of devices that were never seen."""
    whole, real = np.zeros(devices, np.int64), np.zeros(devices)
    never = np.full(devices, NEVER, np.int64)
    return Cadence(never, never.copy(), whole, real, real.copy(), real.copy(), real.copy())


def grown(cadence: Cadence, devices: int) -> Cadence:
    """The same with room for more devices."""
    more = new_cadence(devices - len(cadence.last))
    columns: list[Any] = [np.concatenate(pair) for pair in zip(cadence, more, strict=True)]
    return Cadence(*columns)


def learn_gaps(
    cadence: Cadence,
    device: NDArray[np.int32],
    time: NDArray[np.int64],
    factor: NDArray[np.float64],
    minimum: NDArray[np.float64],
) -> Gaps:
    """Say which readings end a silence, then learn each reading's gap, row by row.

    The longest usual gap follows the readings: a longer gap moves it up there, but by half at most;
    a shorter one moves it down by a 200th of the difference. So ten readings in a second once an
    hour make an hour; an outage makes it half as long again for a while; and a device that has
    become ten times slower is taken for silent a few times and then is not. Not known before 10
    gaps and 10 minutes; until then it is the longest gap seen.

    Args:
        cadence: Of the fleet; changed in place.
        device: Row of each reading's device, shape `[n]`.
        time: Event times, ascending for each device, shape `[n]`.
        factor: Times the longest usual gap after which a device is silent, shape `[devices]`.
        minimum: The least such time, microseconds; infinity for never. Shape `[devices]`.

    Example:
        >>> cadence = new_cadence(1)
        >>> minute = 60_000_000
        >>> time = np.append(np.arange(30), [60, 61]) * minute
        >>> three, one = np.array([3.0]), np.array([60e6])
        >>> gaps = learn_gaps(cadence, np.zeros(32, np.int32), time, three, one)
        >>> [due // minute for due in gaps.due[gaps.due < NOT_DUE].tolist()]
        [32]
        >>> usual_gap(cadence, 0) / minute
        1.18...
    """
    readings = len(device)
    # What is written where a silence ends only is read nowhere else.
    gaps = Gaps(
        np.full(readings, NOT_DUE, np.int64), np.empty(readings, np.int64), np.empty(readings)
    )
    _learn(device, time, factor, minimum, *cadence, *gaps)
    return gaps


def silent_from(
    cadence: Cadence, factor: NDArray[np.float64], minimum: NDArray[np.float64]
) -> NDArray[np.int64]:
    """When each device will be silent if nothing comes; NOT_DUE where nobody can say."""
    known = (cadence.gaps >= READY_GAPS) & (cadence.last - cadence.first >= READY_SPAN)
    after = np.maximum(factor * cadence.longest, minimum) + cadence.held
    known &= after < NOT_DUE - np.maximum(cadence.last, 0)
    due = np.full(len(known), NOT_DUE, np.int64)
    due[known] = cadence.last[known] + after[known].astype(np.int64)
    return due


def usual_gap(cadence: Cadence, row: int) -> float:
    """The gap, in microseconds, that a device is usually found in: each weighs by its length.

    Ten readings in a second once an hour make an hour of it, a message lost now and then little.
    """
    mean = float(cadence.mean[row])
    return float(cadence.square[row]) / mean if mean > 0 else 0.0


def held_up(cadence: Cadence, row: int, behind: int) -> None:
    """A device seemed silent and was not: its readings came so far behind the stream.

    The next ones are waited for as long. That is forgotten over 1,000 readings unless they go on
    coming so late.
    """
    cadence.held[row] = max(float(cadence.held[row]), float(behind))


@kernel(
    types.void(
        given(types.int32, 1),
        given(types.int64, 1),
        given(types.float64, 1),
        given(types.float64, 1),
        field(types.int64, 1),
        field(types.int64, 1),
        field(types.int64, 1),
        field(types.float64, 1),
        field(types.float64, 1),
        field(types.float64, 1),
        field(types.float64, 1),
        buffer(types.int64, 1),
        buffer(types.int64, 1),
        buffer(types.float64, 1),
    )
)
def _learn(
    device: NDArray[np.int32],
    time: NDArray[np.int64],
    factor: NDArray[np.float64],
    minimum: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    gaps: NDArray[np.int64],
    longest: NDArray[np.float64],
    mean: NDArray[np.float64],
    square: NDArray[np.float64],
    held: NDArray[np.float64],
    due: NDArray[np.int64],
    before: NDArray[np.int64],
    usual: NDArray[np.float64],
) -> None:
    for row in range(len(device)):
        d, now = device[row], time[row]
        if gaps[d] == 0 and first[d] == NEVER:
            first[d] = now
            last[d] = now
            continue
        gap = float(now - last[d])
        if gap <= 0.0:
            continue
        known = gaps[d] >= READY_GAPS and last[d] - first[d] >= READY_SPAN
        taught = gap
        if known:
            after = max(factor[d] * longest[d], minimum[d]) + held[d]
            if after < NOT_DUE - max(last[d], 0):
                silent = last[d] + np.int64(after)
                if now >= silent:
                    due[row] = silent
                    before[row] = last[d]
                    usual[row] = square[d] / mean[d]
            taught = min(gap, OUTAGE * longest[d])
            if gap < longest[d]:
                longest[d] += (gap - longest[d]) / MEMORY
            else:
                longest[d] = min(gap, GROWTH * longest[d])
        else:
            longest[d] = max(longest[d], gap)
        gaps[d] += 1
        rate = max(1.0 / gaps[d], 1.0 / MEMORY)
        mean[d] += rate * (taught - mean[d])
        square[d] += rate * (taught * taught - square[d])
        held[d] -= held[d] / FORGET
        last[d] = now
