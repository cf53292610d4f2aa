"""Planted faults against the anomalies a job found: what was found, how late, at what price.

The definitions, chosen so that no number flatters:

- A fault is **found** if an anomaly of its device has an event time from the fault's start to its
  end, both included. What comes after the end is too late to count. A silence has no readings, so
  only something that notices silence, with the time it noticed as event time, can find one.
- It is found **anew** if, besides, the device had no anomaly in the `gap` before the start. A
  device that was alarming anyway has said nothing about the fault.
- The **delay** is from the fault's start to the first anomaly inside it.
- The **channel** is right if the first anomaly inside it names the fault's channel first.
- **Chance** is what the same anomalies hit without looking: the share of windows of the fault's
  length, at all other places, that hold an anomaly. Places are the fleet's watched time outside
  faults and the grace after each. It is an exact measure over all places, not a sample. A window is
  one cadence longer than from the fault's first to its last reading: so it holds as many readings.
  A kind's recall says something only as far as it is above its chance.
- An **alarm** is a run of anomalies of one device with no more than `gap` between neighbours.
  Alarms of anomalies outside faults and their grace are **false**; they are told per device-day of
  that same time. In the `grace` after a fault the device returns to normal, which is no new trouble
  and no false alarm. Harmless events (a door) are not excused.

Watched time begins where alarms are possible: to count the warm-up would thin out the false alarms.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eddyline.io.simulate import Fault

MINUTE = 60_000_000  # µs
DAY = 24 * 60 * MINUTE

Spans = NDArray[np.int64]
"""[spans, 2]: first and last µs of each, in order and apart."""


@dataclass(frozen=True)
class Outcome:
    """One fault: how it went.

    Args:
        fault: The fault.
        delay: µs from its start to the first anomaly in it; None if it was missed.
        anew: Whether no anomaly of the device came shortly before it; False if it was missed.
        channel_right: Whether the first anomaly names the fault's channel first; None if either is
            not known.
        chance: The share of healthy places where a window of this length holds an anomaly; NaN if
            no healthy time is that long.
    """

    fault: Fault
    delay: int | None
    anew: bool
    channel_right: bool | None
    chance: float

    @property
    def found(self) -> bool:
        """Whether there is an anomaly in it."""
        return self.delay is not None


@dataclass(frozen=True)
class KindResult:
    """The faults of one kind together.

    Args:
        kind: The kind.
        planted: How many there are.
        found: How many were found.
        found_anew: How many of these by a device that was quiet before.
        right_channel: Of the found ones whose channel and whose anomaly's channel are known, how
            many agree; and how many these are.
        median_delay: Seconds, of the found ones; None if there is none.
        longest_delay: Seconds, likewise.
        chance: Mean of the faults' chances: the recall to expect of alarms placed blindly.
    """

    kind: str
    planted: int
    found: int
    found_anew: int
    right_channel: tuple[int, int]
    median_delay: float | None
    longest_delay: float | None
    chance: float

    @property
    def missed(self) -> int:
        """How many were not found."""
        return self.planted - self.found


@dataclass(frozen=True)
class Evaluation:
    """The whole comparison.

    Args:
        kinds: By kind, in alphabetical order.
        outcomes: One a fault, in the order the faults were given.
        false_alarms: Alarms outside faults and grace.
        healthy_days: Device-days watched outside faults and grace.
        noisy_devices: Devices with a false alarm, the most first, with how many.
    """

    kinds: tuple[KindResult, ...]
    outcomes: tuple[Outcome, ...]
    false_alarms: int
    healthy_days: float
    noisy_devices: tuple[tuple[str, int], ...]

    @property
    def false_alarms_a_device_day(self) -> float:
        """False alarms per device-day; NaN without healthy time."""
        return self.false_alarms / self.healthy_days if self.healthy_days else float("nan")


def evaluate(
    faults: Sequence[Fault],
    anomalies: pa.Table,
    devices: Iterable[str],
    start: int,
    end: int,
    *,
    grace: int = 10 * MINUTE,
    gap: int = 10 * MINUTE,
    cadence: int = 10_000_000,
) -> Evaluation:
    """Compare planted faults with anomalies; the module's docstring defines every word.

    The order of the anomalies does not matter, nor does the same one twice. Anomalies before
    `start` or after `end` are not looked at.

    Args:
        faults: What was planted; times in µs since the epoch.
        anomalies: Columns device_id (string) and event_time (a timestamp of any unit, or int64 µs);
            if it has a column `channels` (list of strings, the most important first) or `channel`
            (string), the channel is judged too.
        devices: All devices that were watched, also those without fault and anomaly.
        start: From when on alarms were possible, µs: the end of the warm-up.
        end: Until when, µs.
        grace: µs after a fault in which anomalies count for nothing.
        gap: The longest pause within one alarm, µs.
        cadence: The usual time between two readings of a device, µs.

    Raises:
        KeyError: If a column is missing.
        ValueError: If `end` is not after `start`, or a fault or anomaly is of a device that is not
            among the devices.

    Example:
        >>> from eddyline.io.simulate import Fault
        >>> fault = Fault("mill-001", "bias", "humidity", 20 * MINUTE, 50 * MINUTE, 9.0)
        >>> anomalies = pa.table({
        ...     "device_id": ["mill-001", "mill-001", "mill-002"],
        ...     "event_time": [21 * MINUTE, 22 * MINUTE, 70 * MINUTE],
        ... })
        >>> devices = ["mill-001", "mill-002"]
        >>> result = evaluate([fault], anomalies, devices, 0, 120 * MINUTE, cadence=0)
        >>> result.kinds[0].found, result.kinds[0].median_delay, result.false_alarms
        (1, 60.0, 1)
        >>> result.kinds[0].chance  # 30 of the 30 + 90 minutes in which such a window can start
        0.25
    """
    if end <= start:
        raise ValueError(f"end {end} is not after start {start}")
    told = _by_device(anomalies, devices, start, end)
    excused: dict[str, list[tuple[int, int]]] = {device: [] for device in told}
    for fault in faults:
        if fault.device_id not in excused:
            raise ValueError(f"a fault of {fault.device_id!r}, which is not among the devices")
        excused[fault.device_id].append((fault.start, fault.end + grace))

    healthy = {device: _rest(start, end, spans) for device, spans in excused.items()}
    quiet = {device: _inside(told[device].times, healthy[device]) for device in told}
    false_alarms = {device: _alarms(times, gap) for device, times in quiet.items()}
    noisy = sorted(
        ((device, count) for device, count in false_alarms.items() if count),
        key=lambda item: (-item[1], item[0]),
    )
    outcomes = tuple(
        _outcome(
            fault,
            told[fault.device_id],
            gap,
            _chance(fault.end - fault.start + cadence, healthy, quiet),
        )
        for fault in faults
    )
    return Evaluation(
        kinds=tuple(
            _together(kind, [outcome for outcome in outcomes if outcome.fault.kind == kind])
            for kind in sorted({fault.kind for fault in faults})
        ),
        outcomes=outcomes,
        false_alarms=sum(false_alarms.values()),
        healthy_days=sum(int((spans[:, 1] - spans[:, 0]).sum()) for spans in healthy.values())
        / DAY,
        noisy_devices=tuple(noisy),
    )


@dataclass(frozen=True, eq=False)
class _Told:
    """One device's anomalies by time; the channel each names first, None where it is not known."""

    times: NDArray[np.int64]
    channels: list[str | None]


def _by_device(
    anomalies: pa.Table, devices: Iterable[str], start: int, end: int
) -> dict[str, _Told]:
    time = anomalies["event_time"]
    if pa.types.is_timestamp(time.type):
        time = pc.cast(time, pa.timestamp("us", tz=time.type.tz), safe=False).cast(pa.int64())
    rows: dict[str, list[tuple[int, str | None]]] = {device: [] for device in devices}
    for device, at, channel in zip(
        cast("list[str]", anomalies["device_id"].to_pylist()),
        cast("list[int]", time.to_pylist()),
        _first_channels(anomalies),
        strict=True,
    ):
        if device not in rows:
            raise ValueError(f"an anomaly of {device!r}, which is not among the devices")
        if start <= at <= end:
            rows[device].append((at, channel))
    told: dict[str, _Told] = {}
    for device, found in rows.items():
        found.sort(key=lambda row: (row[0], row[1] or ""))
        told[device] = _Told(
            np.array([at for at, _ in found], dtype=np.int64), [channel for _, channel in found]
        )
    return told


def _first_channels(anomalies: pa.Table) -> list[str | None]:
    if "channels" in anomalies.column_names:
        lists = cast("list[list[str] | None]", anomalies["channels"].to_pylist())
        return [names[0] if names else None for names in lists]
    if "channel" in anomalies.column_names:
        return cast("list[str | None]", anomalies["channel"].to_pylist())
    return [None] * len(anomalies)


def _rest(start: int, end: int, taken: list[tuple[int, int]]) -> Spans:
    """What is left of start to end without the taken spans, which may overlap."""
    left: list[tuple[int, int]] = []
    begin = start
    for first, last in sorted(taken):
        if first > begin:
            left.append((begin, min(first, end)))
        begin = max(begin, last)
        if begin >= end:
            break
    if begin < end:
        left.append((begin, end))
    return np.array([span for span in left if span[1] > span[0]], dtype=np.int64).reshape(-1, 2)


def _inside(times: NDArray[np.int64], spans: Spans) -> NDArray[np.int64]:
    """The times in one of the spans; the border to a fault or its grace belongs to that."""
    keep = np.zeros(len(times), dtype=np.bool_)
    for first, last in spans.tolist():
        keep |= (times > first) & (times < last)
    return times[keep]


def _alarms(times: NDArray[np.int64], gap: int) -> int:
    return int((np.diff(times) > gap).sum()) + 1 if len(times) else 0


def _chance(
    length: int, healthy: Mapping[str, Spans], quiet: Mapping[str, NDArray[np.int64]]
) -> float:
    """The share of the places a window can start at, from which it reaches an anomaly."""
    places = hit = 0
    for device, spans in healthy.items():
        times = quiet[device]
        for first, last in spans.tolist():
            latest = last - length
            if latest <= first:
                continue
            places += latest - first
            reached = first
            for at in times[(times >= first) & (times <= last)].tolist():
                # A window that starts from `at - length` to `at` holds this anomaly.
                begin, stop = max(at - length, reached), min(at, latest)
                if stop > begin:
                    hit += stop - begin
                    reached = stop
    return hit / places if places else float("nan")


def _outcome(fault: Fault, told: _Told, gap: int, chance: float) -> Outcome:
    first = int(np.searchsorted(told.times, fault.start))
    if first == len(told.times) or told.times[first] > fault.end:
        return Outcome(fault, delay=None, anew=False, channel_right=None, chance=chance)
    named = told.channels[first]
    return Outcome(
        fault,
        delay=int(told.times[first]) - fault.start,
        anew=first == 0 or int(told.times[first - 1]) < fault.start - gap,
        channel_right=None if named is None or fault.channel is None else named == fault.channel,
        chance=chance,
    )


def _together(kind: str, outcomes: list[Outcome]) -> KindResult:
    delays = [outcome.delay / 1e6 for outcome in outcomes if outcome.delay is not None]
    judged = [outcome.channel_right for outcome in outcomes if outcome.channel_right is not None]
    return KindResult(
        kind=kind,
        planted=len(outcomes),
        found=len(delays),
        found_anew=sum(outcome.anew for outcome in outcomes),
        right_channel=(sum(judged), len(judged)),
        median_delay=median(delays) if delays else None,
        longest_delay=max(delays, default=None),
        chance=sum(outcome.chance for outcome in outcomes) / len(outcomes),
    )
