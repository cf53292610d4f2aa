"""What is measured on rows with labels, and on rows where nothing is wrong.

Two sorts: how well the scores rank rows (thresholds play no part), and what a person would see of
the alarms. A recall says little alone, since an alarm that is always on recalls everything, so each
stands beside what chance hits: windows of the events' lengths laid on normal rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DAY = 86_400_000_000
"""Microseconds."""

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def _ranked(label: Mask, score: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each distinct score from the highest down, positives and negatives so far."""
    told = np.where(np.isnan(score), -np.inf, score)
    order = np.argsort(-told, kind="stable")
    ranked = told[order]
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    positives = np.cumsum(label[order], dtype=np.int64)[last_of_equals]
    rows = np.flatnonzero(last_of_equals) + 1
    return positives, rows - positives


def roc_auc(label: Mask, score: Floats) -> float:
    """Return the chance that an anomalous row scores higher than a normal one; ties count half.

    A NaN score ranks below all numbers: the detector had nothing to say. NaN without both classes.

    Examples:
        >>> roc_auc(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.4, 0.8]))
        0.875
    """
    if not label.any() or label.all():
        return float("nan")
    positives, negatives = _ranked(label, score)
    true_rate = np.append(0.0, positives / positives[-1])
    false_rate = np.append(0.0, negatives / negatives[-1])
    return float(np.trapezoid(true_rate, false_rate))


def average_precision(label: Mask, score: Floats) -> float:
    """Return the mean precision over the recalls that the thresholds reach; NaN without positives.

    Sum of (recall − recall before) × precision over the distinct scores, without interpolation.

    Examples:
        >>> average_precision(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.5, 0.8]))
        0.8333333333333333
    """
    if not label.any():
        return float("nan")
    positives, negatives = _ranked(label, score)
    precision = positives / (positives + negatives)
    return float(np.sum(np.diff(positives, prepend=0) * precision) / positives[-1])


def runs(mask: Mask) -> NDArray[np.int64]:
    """Return the first row and the row behind the last of each run of true rows, `[runs, 2]`.

    Examples:
        >>> runs(np.array([True, False, True, True])).tolist()
        [[0, 1], [2, 4]]
    """
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    return np.column_stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)))


def new_alarms(alarm: Mask) -> Mask:
    """Return the rows at which an alarm begins.

    Examples:
        >>> new_alarms(np.array([True, True, False, True])).tolist()
        [True, False, False, True]
    """
    return alarm & ~np.concatenate(([False], alarm[:-1]))


def chance_of_hit(hits: Mask, allowed: Mask, length: int) -> float:
    """Return the share of the windows of `length` rows that contain a hit; NaN where none fits.

    Every place is tried, so this is exact and needs no seed.

    Args:
        hits: Rows that hit.
        allowed: Rows that a window may cover; it lies on such rows only.
        length: Rows of a window.

    Examples:
        >>> chance_of_hit(np.array([0, 1, 0, 0, 1], bool), np.array([1, 1, 1, 1, 0], bool), 2)
        0.6666666666666666
    """
    if length > len(hits):
        return float("nan")
    found = np.concatenate(([0], np.cumsum(hits)))
    barred = np.concatenate(([0], np.cumsum(~allowed)))
    fits = barred[length:] == barred[:-length]
    hit = found[length:] > found[:-length]
    return float(np.mean(hit[fits])) if fits.any() else float("nan")


class DeviceAlarms(NamedTuple):
    """What one device's alarms did, in numbers that add up over devices."""

    hit: Mask
    """For each event: an alarm was on at some row of it."""
    hit_anew: Mask
    """For each event: an alarm began inside it."""
    delay: Floats
    """For each event: rows from its start to the first row with an alarm; NaN where missed."""
    delay_seconds: Floats
    """The same in seconds; NaN too where the set has no times."""
    chance: Floats
    """For each event: the share of equally long windows of normal rows in which an alarm was on."""
    chance_anew: Floats
    """For each event: the share of such windows in which an alarm began."""
    normal_rows: int
    normal_under_alarm: int
    normal_new_alarms: int
    days: float
    """Time that the judged normal rows span; NaN where the set has no times."""


def judge_alarms(
    label: Mask, alarm: Mask, event_time: NDArray[np.int64], first: int
) -> DeviceAlarms:
    """Judge one device's alarms from row `first` on; events that began earlier do not count.

    Args:
        label: The row is anomalous, `[n]`; an event is a run of such rows.
        alarm: An alarm is on, `[n]`.
        event_time: Microseconds since the epoch, `[n]`, or the same value in every row.
        first: Rows before it are for learning.

    Examples:
        >>> label = np.array([0, 0, 0, 1, 1, 0, 0, 0], bool)
        >>> alarm = np.array([0, 1, 0, 0, 1, 1, 0, 0], bool)
        >>> judged = judge_alarms(label, alarm, np.zeros(8, np.int64), first=0)
        >>> judged.hit.tolist(), judged.delay.tolist(), judged.chance.tolist()
        ([True], [1.0], [0.75])
        >>> judged.normal_under_alarm, judged.normal_new_alarms
        (2, 1)
    """
    began = new_alarms(alarm)
    judged = np.arange(len(label)) >= first
    normal = judged & ~label
    # Time counts where the row and the one before it are normal: an event is no quiet time.
    steps = np.diff(event_time)[(normal[1:] & normal[:-1])] if len(label) > 1 else np.empty(0)
    events = runs(label)
    events = events[events[:, 0] >= first]
    lengths, place = np.unique(events[:, 1] - events[:, 0], return_inverse=True)
    delay = np.full(len(events), np.nan)
    seconds = np.full(len(events), np.nan)
    timed = len(event_time) > 0 and event_time[0] != event_time[-1]
    for number, (start, end) in enumerate(events):
        inside = np.flatnonzero(alarm[start:end])
        if len(inside):
            delay[number] = inside[0]
            if timed:
                seconds[number] = (event_time[start + inside[0]] - event_time[start]) / 1e6
    return DeviceAlarms(
        hit=~np.isnan(delay),
        hit_anew=np.array([began[start:end].any() for start, end in events], np.bool_),
        delay=delay,
        delay_seconds=seconds,
        chance=np.array([chance_of_hit(alarm, normal, int(n)) for n in lengths])[place],
        chance_anew=np.array([chance_of_hit(began, normal, int(n)) for n in lengths])[place],
        normal_rows=int(normal.sum()),
        normal_under_alarm=int((alarm & normal).sum()),
        normal_new_alarms=int((began & normal).sum()),
        days=float(steps.sum()) / DAY if timed else float("nan"),
    )


def _mean(parts: Sequence[NDArray[np.generic]]) -> float:
    values = np.concatenate(parts).astype(np.float64) if parts else np.empty(0)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _median(parts: Sequence[Floats]) -> float:
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else float("nan")


def alarm_measures(devices: Sequence[DeviceAlarms]) -> dict[str, float]:
    """Return the measures of a set, in which each event and each normal row weighs the same.

    Keys: events (how many), event_recall, new_alarm_recall (by an alarm that begins inside the
    event), chance and chance_new (what either recall is on normal rows), delay_rows and
    delay_seconds (medians over the events that were hit), normal_under_alarm (share of normal
    rows), alarms_per_1000 and alarms_a_day (new alarms on normal rows). NaN where there is nothing
    to count.
    """
    rows = sum(device.normal_rows for device in devices)
    new = sum(device.normal_new_alarms for device in devices)
    days = sum(device.days for device in devices)
    nothing = float("nan")
    return {
        "events": float(sum(len(device.hit) for device in devices)),
        "event_recall": _mean([device.hit for device in devices]),
        "new_alarm_recall": _mean([device.hit_anew for device in devices]),
        "chance": _mean([device.chance for device in devices]),
        "chance_new": _mean([device.chance_anew for device in devices]),
        "delay_rows": _median([device.delay for device in devices]),
        "delay_seconds": _median([device.delay_seconds for device in devices]),
        "normal_under_alarm": (
            sum(device.normal_under_alarm for device in devices) / rows if rows else nothing
        ),
        "alarms_per_1000": 1000.0 * new / rows if rows else nothing,
        "alarms_a_day": new / days if days > 0.0 else nothing,
    }
