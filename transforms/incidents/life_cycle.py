"""The life cycle of a device's incidents: opened once, told again when it matters, resolved."""

import math
from typing import Any, NamedTuple

from eddyline.transforms.incidents.duration_words import tell_duration
from eddyline.transforms.incidents.trouble import (
    Alarm,
    Candidate,
    Cause,
    Incident,
    Troubles,
    times_threshold,
)
from eddyline.transforms.policy.policy import Rule
from eddyline.transforms.policy.severity import SEVERITIES, Importance, severity

SECOND = 1_000_000
DAY = 86_400 * SECOND
NEVER, FOREVER = -(2**63), 2**62
WEAK = 0.4
"""Share of its threshold below which an alarm's score is no evidence."""
WORSE = 1.5
"""Times the last told score at which a trouble is told again."""
RATE = 600 * SECOND
"""The least time between two tellings of a change, and a quarter of the incident's age is."""
Transition = dict[str, Any]
"""A row of the record `incident` without the device's place, its times in microseconds."""
REMINDERS = 30
"""An incident is told again so often at most, unless it changes."""
CLOSED = 4
"""Resolved incidents that are remembered for feedback."""


class Device(NamedTuple):
    """Of whom: what the life cycle knows of a device beside its state."""

    device_id: str
    rule: Rule
    importance: Importance = "normal"


def take_reading(
    troubles: Troubles,
    device: Device,
    time: int,
    arrival: int,
    *,
    alarm: Alarm | None = None,
    beyond: Cause | None = None,
    judged: bool = True,
) -> list[Transition]:
    """Take one reading in order; changes `troubles`, gives the transitions it makes.

    A value trouble (`event`, `condition`) opens when the evidence of readings under alarm reaches
    1: each adds (s - .4) / .6, where s is its `Alarm.strength`, its score as a multiple of its
    threshold, and the sum never falls below 0. So a score at its threshold opens at once; weaker
    ones (an alarm that lasts, or that a slow sign made) need several before the alarms have paused
    for `quiet`.
    Beyond hard limits opens at once. While that is open, alarms open nothing. The pure function of
    a device's readings, in the order of (event time, reading id): batches and shards do not show.

    A trouble resolves with the first reading without alarm `quiet` or more after its last one. It
    is told again when a reminder's time has passed, when its severity rises or its score is 1.5
    times what was told, and when its worst reading is of another sign or channel; not within
    10 minutes, or a quarter of its age, of its last telling.

    Args:
        troubles: The device's state.
        device: The device, and its rule.
        time: The reading's event time, microseconds.
        arrival: Its arrival time.
        alarm: The detector's alarm of it, without kinds that the rule turns off.
        beyond: The hard limit that it is beyond.
        judged: Whether the model gave a verdict: what was not judged is no sign that all is well.
    """
    out: list[Transition] = []
    quiet = seconds(device.rule.quiet)
    _take_limits(troubles, device, time, arrival, beyond, alarm, out)
    _take_alarm(troubles, device, time, arrival, alarm, quiet, judged, out)
    flapping = troubles.silence
    if flapping is not None and flapping.kind == "flapping":
        if time >= flapping.last_seen + _hold(flapping, device):
            _resolve(troubles, "silence", device, time, arrival, out)
        else:
            remind(flapping, device, time, arrival, out)
    return out


def wake(troubles: Troubles, device: Device) -> int:
    """The event time from which a reading without alarm makes a difference; FOREVER for never."""
    quiet = seconds(device.rule.quiet)
    when = FOREVER
    for incident in (troubles.value, troubles.limits):
        if incident is not None:
            when = min(when, incident.last_seen + _hold(incident, device))
            if not incident.dismissed:
                when = min(when, reminder(incident, device.rule))
                if _changed(incident):
                    when = min(when, _may_tell(incident))
    if troubles.candidate is not None:
        when = min(when, troubles.candidate.last_seen + quiet)
    if (silence := troubles.silence) is not None:
        if silence.kind != "flapping" or silence.silent:
            return NEVER
        when = min(when, silence.last_seen + _hold(silence, device), reminder(silence, device.rule))
    return when


def open_incident(
    troubles: Troubles,
    slot: str,
    device: Device,
    incident: Incident,
    arrival: int | None,
    out: list[Transition],
) -> None:
    """Open an incident, or its kind's flapping, in a slot that is empty."""
    kind, time = incident.kind, incident.opened_at
    within, times = seconds(device.rule.flapping.within), device.rule.flapping.times
    before = [t for t in troubles.openings.get(kind, ()) if t > time - within]
    if len(before) + 1 >= times and "flapping" not in device.rule.off:
        incident.folds, incident.kind = kind, "flapping"
        incident.count = max(incident.count, 1)
        incident.cause = incident.cause._replace(
            sentence=f"{kind} {len(before) + 1} times within {tell_duration(within / SECOND)}; "
            f"last: {incident.cause.sentence}"
        )
        troubles.openings = {k: t for k, t in troubles.openings.items() if k != kind}
    else:
        troubles.openings = {**troubles.openings, kind: [*before, time][-max(times, 1) :]}
    setattr(troubles, slot, incident)
    _grade(incident, device, incident.last_seen if slot != "silence" else time)
    _told(incident, time)
    out.append(transition("opened", incident, device, time, arrival))


def remind(
    incident: Incident,
    device: Device,
    time: int,
    arrival: int | None,
    out: list[Transition],
) -> None:
    """Tell an open incident again if it is due at `time`."""
    if incident.dismissed:
        return
    due = False
    while reminder(incident, device.rule) <= time:
        incident.reminded += 1
        due = True
    changed = _changed(incident) and time >= _may_tell(incident)
    if (due and not incident.acknowledged) or changed:
        incident.revision += 1
        _told(incident, time)
        out.append(transition("updated", incident, device, time, arrival))


def reminder(incident: Incident, rule: Rule) -> int:
    """When an open incident is told again though nothing changed; FOREVER for never."""
    if incident.dismissed:
        return FOREVER
    return min(FOREVER, incident.opened_at + _reminder_after(incident.reminded, rule))


def transition(
    name: str,
    incident: Incident,
    device: Device,
    time: int,
    arrival: int | None,
    *,
    sentence: str | None = None,
    duration: float | None = None,
    by: str | None = None,
) -> Transition:
    """A row that tells how an incident stands."""
    cause = incident.cause
    return {
        "incident_id": incident.id_of(device.device_id),
        "revision": incident.revision,
        "transition": name,
        "kind": incident.kind,
        "severity": SEVERITIES[incident.severity],
        "event_time": time,
        "opened_at": incident.opened_at,
        "last_seen": incident.last_seen,
        "arrival_time": arrival,
        "device_id": device.device_id,
        "count": incident.count,
        "score": incident.score,
        "peak": incident.peak,
        "duration": (time - incident.opened_at) / SECOND if duration is None else duration,
        "sign": cause.sign,
        "channels": list(cause.channels),
        "observed": cause.observed,
        "expected": cause.expected,
        "expected_low": cause.expected_low,
        "expected_high": cause.expected_high,
        "explanation": cause.sentence if sentence is None else sentence,
        "storm_id": None,
        "members": [],
        "operator": by,
    }


def close(troubles: Troubles, slot: str) -> None:
    """Take the incident out of its slot, and remember it for feedback."""
    incident: Incident = getattr(troubles, slot)
    setattr(troubles, slot, None)
    troubles.closed = [*troubles.closed, incident][-CLOSED:]


def seconds(number: float) -> int:
    """Seconds as microseconds; what is longer than time itself is FOREVER."""
    return FOREVER if number >= FOREVER / SECOND else round(number * SECOND)


def _take_limits(
    troubles: Troubles,
    device: Device,
    time: int,
    arrival: int,
    beyond: Cause | None,
    alarm: Alarm | None,
    out: list[Transition],
) -> None:
    incident = troubles.limits
    if incident is None:
        if beyond is not None and "out_of_limits" not in device.rule.off:
            incident = Incident("out_of_limits", time, time, cause=beyond, count=1)
            _score(incident, alarm)
            open_incident(troubles, "limits", device, incident, arrival, out)
        return
    if beyond is not None:
        incident.last_seen, incident.cause = time, beyond
        incident.count += 1
        _score(incident, alarm)
        _grade(incident, device, time)
    elif time >= incident.last_seen + _hold(incident, device):
        _resolve(troubles, "limits", device, time, arrival, out)
        return
    remind(incident, device, time, arrival, out)


def _take_alarm(
    troubles: Troubles,
    device: Device,
    time: int,
    arrival: int,
    alarm: Alarm | None,
    quiet: int,
    judged: bool,
    out: list[Transition],
) -> None:
    incident = troubles.value
    if alarm is None:
        if incident is not None:
            if judged and time >= incident.last_seen + _hold(incident, device):
                _resolve(troubles, "value", device, time, arrival, out)
            else:
                remind(incident, device, time, arrival, out)
        elif judged and (weak := troubles.candidate) and time >= weak.last_seen + quiet:
            troubles.candidate = None
        return
    if (
        incident is not None
        and incident.dismissed
        and time > incident.opened_at  # at the same event time it would be the same incident
        and alarm.strength >= WORSE * incident.strength
    ):
        # An operator said of a lesser trouble that it is none.
        close(troubles, "value")
        incident = None
    if incident is None:
        if troubles.limits is None:
            _weigh(troubles, device, time, arrival, alarm, quiet, out)
        else:
            troubles.candidate = None
        return
    incident.last_seen = time
    incident.count += 1
    if alarm.strength > incident.strength:
        incident.cause = alarm.cause
    if not incident.dismissed:
        _score(incident, alarm)
        _grade(incident, device, time)
    if troubles.limits is None:
        remind(incident, device, time, arrival, out)


def _weigh(
    troubles: Troubles,
    device: Device,
    time: int,
    arrival: int,
    alarm: Alarm,
    quiet: int,
    out: list[Transition],
) -> None:
    """Add to the evidence; open when it is enough."""
    candidate = troubles.candidate
    if candidate is None or time >= candidate.last_seen + quiet:
        candidate = troubles.candidate = Candidate(time)
    candidate.last_seen = time
    candidate.count += 1
    candidate.evidence = max(0.0, candidate.evidence + (alarm.strength - WEAK) / (1 - WEAK))
    candidate.peak = _highest(candidate.peak, alarm.score)
    candidate.peaks = _peaks(candidate.peaks, alarm)
    if candidate.evidence < 1.0:
        return
    troubles.candidate = None
    strongest = max(alarm.kinds, key=lambda kind: times_threshold(kind[1], kind[2]))
    incident = Incident(
        strongest[0],
        time,
        time,
        cause=alarm.cause,
        count=candidate.count - 1,
        peak=candidate.peak,
        peaks=candidate.peaks,
    )
    incident.count += 1
    _score(incident, alarm)
    open_incident(troubles, "value", device, incident, arrival, out)


def _score(incident: Incident, alarm: Alarm | None) -> None:
    incident.score = None
    if alarm is not None:
        incident.score = alarm.score
        incident.peak = _highest(incident.peak, alarm.score)
        incident.peaks = _peaks(incident.peaks, alarm)
        if incident.kind != "out_of_limits":
            incident.strength = max(incident.strength, alarm.strength)


def _peaks(peaks: dict[str, tuple[float, float]], alarm: Alarm) -> dict[str, tuple[float, float]]:
    """The highest score of each kind, with the threshold that it had to pass."""
    more = {
        kind: (score, threshold)
        for kind, score, threshold in alarm.kinds
        if kind not in peaks or score > peaks[kind][0]
    }
    return {**peaks, **more} if more else peaks


def _highest(peak: float | None, score: float) -> float | None:
    if math.isnan(score):  # a limit is passed while the model warms up
        return peak
    return score if peak is None else max(peak, score)


def _grade(incident: Incident, device: Device, until: int) -> None:
    now = severity(incident.kind, incident.strength, until - incident.opened_at, device.importance)
    incident.severity = max(incident.severity, now)


def _told(incident: Incident, time: int) -> None:
    incident.told_at, incident.told_severity = time, incident.severity
    incident.told_strength, incident.told_cause = incident.strength, _named(incident.cause)


def _named(cause: Cause) -> tuple[str | None, str | None]:
    return cause.sign, cause.channels[0] if cause.channels else None


def _changed(incident: Incident) -> bool:
    severer = incident.severity > incident.told_severity
    worse = incident.strength >= WORSE * max(incident.told_strength, WEAK)
    if incident.acknowledged:
        # That it goes on is known.
        return severer and worse
    if incident.kind == "flapping":
        return severer
    return severer or worse or _named(incident.cause) != incident.told_cause


def _may_tell(incident: Incident) -> int:
    age = incident.told_at - incident.opened_at
    return incident.told_at + max(RATE, age // 4)


def _reminder_after(number: int, rule: Rule) -> int:
    """Microseconds from the opening to a reminder: after the last one of the rule, one a day."""
    times = rule.reminders
    if not times or number >= REMINDERS:
        return FOREVER
    if number < len(times):
        return seconds(times[number])
    return min(FOREVER, seconds(times[-1]) + (number - len(times) + 1) * DAY)


def _hold(incident: Incident, device: Device) -> int:
    """How long it must be quiet until an incident is over."""
    quiet = seconds(device.rule.quiet)
    if incident.kind != "flapping":
        return quiet
    return max(3 * quiet, seconds(device.rule.flapping.within) // 4)


def _resolve(
    troubles: Troubles,
    slot: str,
    device: Device,
    time: int,
    arrival: int,
    out: list[Transition],
) -> None:
    incident: Incident = getattr(troubles, slot)
    close(troubles, slot)
    if incident.dismissed:
        return
    incident.revision += 1
    lasted = (incident.last_seen - incident.opened_at) / SECOND
    readings = "1 reading" if incident.count == 1 else f"{incident.count} readings"
    after = readings if incident.count == 1 else f"{tell_duration(lasted)} and {readings}"
    sentence = f"{incident.cause.sentence}; over after {after}"
    if incident.kind == "flapping":
        calm = tell_duration((time - incident.last_seen) / SECOND)
        sentence = f"no {incident.folds} any more for {calm}"
    incident.score = None
    out.append(
        transition("resolved", incident, device, time, arrival, sentence=sentence, duration=lasted)
    )
