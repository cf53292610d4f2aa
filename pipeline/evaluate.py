"""Planted faults against the incidents a job opened: what was found, how late, at what price.

The definitions, chosen so that no number flatters:

- A fault is **found** if an incident of its device was opened from the fault's start to its end,
  both included. What opens after the end is too late to count, and so is one that was open before:
  a device that was in trouble anyway has said nothing about the fault.
  A silence is found by an incident of the kind `silent` only.
- The **delay** is from the fault's start to the opening of the first incident inside it.
- **Repeats** are the further incidents of the device from then to the end of the fault's grace: one
  trouble should be one incident.
- The **channel** is right if the first incident inside it names the fault's channel first.
- **Chance** is what the same incidents hit without looking: the share of windows of the fault's
  length, at all other places, that hold an opening. Places are the fleet's watched time outside
  faults, outages and the grace after each. It is an exact measure over all places, not a sample. A
  window is one cadence longer than from the fault's first to its last reading: so it holds as many
  readings. A kind's recall says something only as far as it is above its chance.
- An **outage** of a site is found if a storm of the site was opened in it or in its grace.
- Incidents opened outside faults, outages and their grace are **false**; they are told per
  device-day of that same time. In the `grace` after a trouble the device returns to normal, which
  is no new trouble and no false incident. Harmless events (a door) are not excused.

Watched time begins where alarms are possible: to count the warm-up would thin out the false ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.io.simulate import Fault, Outage

MINUTE = 60_000_000  # µs
DAY = 24 * 60 * MINUTE
APART = ("drift", "noise")
"""Kinds of faults that are counted apart: they begin without a sharp edge."""

Spans = NDArray[np.int64]
"""[spans, 2]: first and last µs of each, in order and apart."""


class Opening(NamedTuple):
    """One incident's beginning: when, of which kind, and the channel that it names first."""

    time: int
    kind: str
    channel: str | None


@dataclass(frozen=True)
class Outcome:
    """One fault: how it went.

    Args:
        fault: The fault.
        delay: µs from its start to the first incident in it; None if it was missed.
        repeats: How many more incidents it gave; 0 if it was missed.
        channel_right: Whether the incident names the fault's channel first; None if either is not
            known.
        chance: The share of healthy places where a window of this length holds an opening; NaN if
            no healthy time is that long.
    """

    fault: Fault
    delay: int | None
    repeats: int
    channel_right: bool | None
    chance: float

    @property
    def found(self) -> bool:
        """Whether an incident was opened in it."""
        return self.delay is not None


@dataclass(frozen=True)
class KindResult:
    """The faults of one kind together.

    Args:
        kind: The kind.
        planted: How many there are.
        found: How many were found.
        repeats: Incidents beyond one a fault.
        right_channel: Of the found ones whose channel and whose incident's channel are known, how
            many agree; and how many these are.
        median_delay: Seconds, of the found ones; None if there is none.
        longest_delay: Seconds, likewise.
        chance: Mean of the faults' chances: the recall to expect of incidents placed blindly.
    """

    kind: str
    planted: int
    found: int
    repeats: int
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
        outages: How many outages were planted, and how many of them a storm told.
        false_incidents: By kind of incident: those outside faults, outages and grace.
        healthy_days: Device-days watched outside faults, outages and grace.
        noisy_devices: Devices with a false incident, the most first, with how many.
    """

    kinds: tuple[KindResult, ...]
    outcomes: tuple[Outcome, ...]
    outages: tuple[int, int]
    false_incidents: dict[str, int]
    healthy_days: float
    noisy_devices: tuple[tuple[str, int], ...]

    @property
    def false_incidents_a_device_day(self) -> float:
        """False incidents per device-day; NaN without healthy time."""
        false = sum(self.false_incidents.values())
        return false / self.healthy_days if self.healthy_days else float("nan")

    @property
    def recall(self) -> float:
        """The share found of the faults whose kind is not counted apart; NaN without any."""
        sharp = [outcome.found for outcome in self.outcomes if outcome.fault.kind not in APART]
        return sum(sharp) / len(sharp) if sharp else float("nan")


def evaluate(
    faults: Sequence[Fault],
    incidents: pa.Table,
    devices: Mapping[str, str],
    start: int,
    end: int,
    *,
    outages: Sequence[Outage] = (),
    grace: int = 10 * MINUTE,
    cadence: int = 10_000_000,
) -> Evaluation:
    """Compare planted faults with incidents; the module's docstring defines every word.

    The order of the incidents does not matter. Only openings are looked at, from `start` to `end`.

    Args:
        faults: What was planted; times in µs since the epoch.
        incidents: Rows of the record `incident`, every transition or only the openings.
        devices: Every device that was watched, with its site.
        start: From when on alarms were possible, µs: the end of the warm-up.
        end: Until when, µs.
        outages: Of whole sites.
        grace: µs after a trouble in which incidents count for nothing.
        cadence: The usual time between two readings of a device, µs.

    Raises:
        KeyError: If a column is missing.
        ValueError: If `end` is not after `start`, or a fault or incident is of a device that is not
            among the devices.

    Example:
        >>> fault = Fault("mill-001", "bias", "humidity", 20 * MINUTE, 50 * MINUTE, 9.0)
        >>> incidents = pa.table({
        ...     "transition": ["opened", "resolved", "opened"],
        ...     "kind": ["condition", "condition", "event"],
        ...     "device_id": ["mill-001", "mill-001", "mill-002"],
        ...     "site": ["mill", "mill", "mill"],
        ...     "opened_at": [21 * MINUTE, 21 * MINUTE, 70 * MINUTE],
        ...     "channels": [["humidity"], ["humidity"], ["pressure"]],
        ... })
        >>> devices = {"mill-001": "mill", "mill-002": "mill"}
        >>> result = evaluate([fault], incidents, devices, 0, 120 * MINUTE, cadence=0)
        >>> result.kinds[0].found, result.kinds[0].median_delay, result.false_incidents
        (1, 60.0, {'event': 1})
        >>> result.kinds[0].chance  # 30 of the 30 + 90 minutes in which such a window can start
        0.25
    """
    if end <= start:
        raise ValueError(f"end {end} is not after start {start}")
    openings, storms = _openings(incidents, devices, start, end)
    excused: dict[str, list[tuple[int, int]]] = {device: [] for device in devices}
    for fault in faults:
        if fault.device_id not in excused:
            raise ValueError(f"a fault of {fault.device_id!r}, which is not among the devices")
        excused[fault.device_id].append((fault.start, fault.end + grace))
    for outage in outages:
        for device, site in devices.items():
            if site == outage.site:
                excused[device].append((outage.start, outage.end + grace))

    healthy = {device: _rest(start, end, spans) for device, spans in excused.items()}
    false = {device: _inside(openings[device], healthy[device]) for device in devices}
    times = {
        device: np.array([opening.time for opening in of_device], np.int64)
        for device, of_device in false.items()
    }
    outcomes = tuple(
        _outcome(
            fault,
            openings[fault.device_id],
            grace,
            _chance(fault.end - fault.start + cadence, healthy, times),
        )
        for fault in faults
    )
    told = [
        any(outage.start <= at <= outage.end + grace for at in storms.get(outage.site, ()))
        for outage in outages
    ]
    noisy = sorted(
        ((device, len(found)) for device, found in false.items() if found),
        key=lambda item: (-item[1], item[0]),
    )
    kinds = [opening.kind for found in false.values() for opening in found]
    return Evaluation(
        kinds=tuple(
            _together(kind, [outcome for outcome in outcomes if outcome.fault.kind == kind])
            for kind in sorted({fault.kind for fault in faults})
        ),
        outcomes=outcomes,
        outages=(len(outages), sum(told)),
        false_incidents={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        healthy_days=sum(int((spans[:, 1] - spans[:, 0]).sum()) for spans in healthy.values())
        / DAY,
        noisy_devices=tuple(noisy),
    )


def _openings(
    incidents: pa.Table, devices: Iterable[str], start: int, end: int
) -> tuple[dict[str, list[Opening]], dict[str, list[int]]]:
    """Each device's openings by time, and the times of each site's storms."""
    found: dict[str, list[Opening]] = {device: [] for device in devices}
    storms: dict[str, list[int]] = {}
    columns = ["transition", "kind", "device_id", "site", "opened_at", "channels"]
    time = incidents["opened_at"]
    if pa.types.is_timestamp(time.type):
        place = incidents.schema.get_field_index("opened_at")
        time = time.cast(pa.timestamp("us", time.type.tz)).cast(pa.int64())
        incidents = incidents.set_column(place, "opened_at", time)
    rows: list[dict[str, Any]] = incidents.select(columns).to_pylist()
    for row in rows:
        if row["transition"] != "opened" or not start <= row["opened_at"] <= end:
            continue
        if row["kind"] == "storm":
            storms.setdefault(row["site"], []).append(row["opened_at"])
            continue
        if row["device_id"] not in found:
            raise ValueError(f"an incident of {row['device_id']!r}, which is not among the devices")
        channel = row["channels"][0] if row["channels"] else None
        found[row["device_id"]].append(Opening(row["opened_at"], row["kind"], channel))
    return {device: sorted(of, key=lambda o: o.time) for device, of in found.items()}, storms


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


def _inside(openings: Sequence[Opening], spans: Spans) -> list[Opening]:
    """Those in one of the spans; the border to a trouble or its grace belongs to that."""
    return [o for o in openings if any(first < o.time < last for first, last in spans.tolist())]


def _chance(
    length: int, healthy: Mapping[str, Spans], false: Mapping[str, NDArray[np.int64]]
) -> float:
    """The share of the places a window can start at, from which it reaches an opening."""
    places = hit = 0
    for device, spans in healthy.items():
        times = false[device]
        for first, last in spans.tolist():
            latest = last - length
            if latest <= first:
                continue
            places += latest - first
            reached = first
            for at in times[(times >= first) & (times <= last)].tolist():
                # A window that starts from `at - length` to `at` holds this opening.
                begin, stop = max(at - length, reached), min(at, latest)
                if stop > begin:
                    hit += stop - begin
                    reached = stop
    return hit / places if places else float("nan")


def _outcome(fault: Fault, openings: Sequence[Opening], grace: int, chance: float) -> Outcome:
    inside = [
        opening
        for opening in openings
        if fault.start <= opening.time <= fault.end
        and (fault.kind != "silence" or opening.kind == "silent")
    ]
    if not inside:
        return Outcome(fault, delay=None, repeats=0, channel_right=None, chance=chance)
    first = inside[0]
    known = first.channel is not None and fault.channel is not None
    return Outcome(
        fault,
        delay=first.time - fault.start,
        repeats=sum(first.time <= o.time <= fault.end + grace for o in openings) - 1,
        channel_right=first.channel == fault.channel if known else None,
        chance=chance,
    )


def _together(kind: str, outcomes: list[Outcome]) -> KindResult:
    delays = [outcome.delay / 1e6 for outcome in outcomes if outcome.delay is not None]
    judged = [outcome.channel_right for outcome in outcomes if outcome.channel_right is not None]
    return KindResult(
        kind=kind,
        planted=len(outcomes),
        found=len(delays),
        repeats=sum(outcome.repeats for outcome in outcomes),
        right_channel=(sum(judged), len(judged)),
        median_delay=median(delays) if delays else None,
        longest_delay=max(delays, default=None),
        chance=sum(outcome.chance for outcome in outcomes) / len(outcomes),
    )
