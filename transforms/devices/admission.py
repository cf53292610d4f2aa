"""Admission: which readings are repeated, which are late, and when the rest are in order."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from eddyline.detectors.kernel import buffer, field, given, kernel

NEVER = -(2**63)


class Outcome(IntEnum):
    """What admission decides about a reading."""

    WAITING = 0
    LATE = 1
    DUPLICATE = 2


class Admission(NamedTuple):
    """What admission keeps of each device: arrays with one row a device.

    Args:
        last_seen: Latest event time, microseconds.
        frontier: Readings before it were given to the model, in order; what comes before it now
            is late.
        admitted: How many readings were no duplicates.
        recent: Ids of the last ones that were admitted, a ring that `admitted` turns.
    """

    last_seen: NDArray[np.int64]
    frontier: NDArray[np.int64]
    admitted: NDArray[np.int64]
    recent: NDArray[np.int64]


def new_admission(devices: int, remember: int) -> Admission:
    """Admission of devices that were never seen, remembering `remember` readings of each."""
    return Admission(
        np.full(devices, NEVER, np.int64),
        np.full(devices, NEVER, np.int64),
        np.zeros(devices, np.int64),
        np.zeros((devices, remember), np.int64),
    )


def grown(admission: Admission, devices: int) -> Admission:
    """The same with room for more devices."""
    more = new_admission(devices - len(admission.last_seen), admission.recent.shape[1])
    return Admission(*(np.concatenate(pair) for pair in zip(admission, more, strict=True)))


@kernel(
    types.void(
        given(types.int32, 1),
        given(types.int64, 1),
        given(types.int64, 1),
        types.int64,
        field(types.int64, 1),
        field(types.int64, 1),
        field(types.int64, 1),
        field(types.int64, 2),
        buffer(types.uint8, 1),
    )
)
def admit(
    device: NDArray[np.int32],
    event_time: NDArray[np.int64],
    reading_id: NDArray[np.int64],
    disorder: int,
    last_seen: NDArray[np.int64],
    frontier: NDArray[np.int64],
    admitted: NDArray[np.int64],
    recent: NDArray[np.int64],
    outcome: NDArray[np.uint8],
) -> None:
    """Decide each reading in the order of arrival; changes the admission's arrays.

    A reading is a duplicate while fewer than `remember` others of its device have come since its
    first copy. It is late when it lies before the device's frontier, which follows `disorder`
    behind the latest event time seen: readings shuffled within that bound are never late, in
    whatever order and batches they arrive.

    Args:
        device: Row of each reading's device, shape `[n]`.
        event_time: Microseconds, shape `[n]`.
        reading_id: Shape `[n]`.
        disorder: Bound of the disorder, microseconds.
        last_seen: See `Admission`.
        frontier: See `Admission`.
        admitted: See `Admission`.
        recent: See `Admission`, shape `[devices, remember]`.
        outcome: Filled with `Outcome`, shape `[n]`.
    """
    remember = recent.shape[1]
    for row in range(len(device)):
        d, time, identity = device[row], event_time[row], reading_id[row]
        seen = False
        for place in range(min(admitted[d], remember)):
            seen = seen or recent[d, place] == identity
        if seen:
            outcome[row] = 2
            continue
        recent[d, admitted[d] % remember] = identity
        admitted[d] += 1
        outcome[row] = 1 if time < frontier[d] else 0
        last_seen[d] = max(last_seen[d], time)
        frontier[d] = max(frontier[d], last_seen[d] - disorder)


def recent_ids(
    admission: Admission,
    rows: NDArray[np.int64] | None = None,
    most: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ids that devices remember, of each the oldest first, and how many are each one's.

    Args:
        admission: Of all devices.
        rows: Which devices; None for all.
        most: Of each of them how many ids to give, the newest; None for all.
    """
    chosen = slice(None) if rows is None else rows
    admitted, ring = admission.admitted[chosen, None], admission.recent[chosen]
    remember = ring.shape[1]
    number = np.minimum(admitted, remember)
    if most is not None:
        number = np.minimum(number, most[:, None])
    place = np.arange(remember)
    by_age = np.take_along_axis(ring, (admitted - number + place) % remember, axis=1)
    return by_age[place < number], number[:, 0]


def remember_ids(
    admission: Admission,
    ids: NDArray[np.int64],
    number: NDArray[np.int64],
    rows: NDArray[np.int64] | None = None,
) -> None:
    """Let devices remember more ids: the inverse of `recent_ids`. Of too many the last ones stay.

    Example:
        >>> admission = new_admission(devices=2, remember=2)
        >>> remember_ids(admission, np.array([7, 8, 9, 4]), np.array([3, 1]))
        >>> ids, number = recent_ids(admission)
        >>> ids.tolist(), number.tolist()
        ([8, 9, 4], [2, 1])
    """
    chosen = np.arange(len(admission.admitted)) if rows is None else rows
    remember = admission.recent.shape[1]
    last = np.cumsum(number)
    nth = np.arange(len(ids)) - np.repeat(last - number, number)
    stays = nth >= np.repeat(number - remember, number)
    row = np.repeat(chosen, number)[stays]
    admission.recent[row, (admission.admitted[row] + nth[stays]) % remember] = ids[stays]
    admission.admitted[chosen] += number
