"""Silence: the stream has moved on and the device has not."""

from eddyline.transforms.incidents.duration_words import tell_duration
from eddyline.transforms.incidents.life_cycle import (
    FOREVER,
    SECOND,
    Device,
    Transition,
    close,
    open_incident,
    remind,
    reminder,
    transition,
)
from eddyline.transforms.incidents.trouble import Cause, Incident, Troubles
from eddyline.transforms.policy.severity import severity

HOUR = 3_600 * SECOND
EARLY = 1_037 * SECOND


def fall_silent(
    troubles: Troubles, device: Device, last: int, due: int, usual: float, until: int
) -> list[Transition]:
    """Let time pass without a reading: the silence's opening, and its reminders up to `until`.

    Every row is stamped with the time at which it was due, which the device's readings alone
    decide. So whether time passes in small steps, as the watermark moves, or at once, when the next
    reading shows the gap, the rows are the same.

    Args:
        troubles: The device's state; changed.
        device: The device, and its rule.
        last: Event time of its last reading, microseconds.
        due: When it is silent.
        usual: Its usual gap, microseconds.
        until: The time that has come.
    """
    out: list[Transition] = []
    incident = troubles.silence
    if incident is not None and incident.kind == "flapping" and due <= until:
        if not incident.silent:
            incident.last_seen, incident.silent = due, True
            incident.count += 1
            incident.cause = _silence(last, due, usual)
    elif incident is None and due <= until and "silent" not in device.rule.off:
        incident = Incident("silent", due, last, cause=_silence(last, due, usual))
        open_incident(troubles, "silence", device, incident, None, out)
        incident.silent = True
    _remind_until(troubles, device, until, out)
    return out


def go_missing(
    troubles: Troubles, device: Device, began: int, due: int, until: int
) -> list[Transition]:
    """Let time pass for a device that is expected and was never heard of.

    Args:
        troubles: The device's state; changed.
        device: The device, and its rule.
        began: The stream's first time.
        due: When it is missing, see `missing_from`.
        until: The time that has come.
    """
    out: list[Transition] = []
    if troubles.silence is None and due <= until and "missing" not in device.rule.off:
        waited = (due - began) / SECOND
        cause = Cause(
            "silence",
            observed=waited,
            sentence=f"nothing was ever heard of it, {tell_duration(waited)} into the stream",
        )
        incident = Incident("missing", due, began, cause=cause)
        open_incident(troubles, "silence", device, incident, None, out)
    _remind_until(troubles, device, until, out)
    return out


def missing_from(began: int, grace: float) -> int:
    """When a device that was never heard of is missing: the grace time after a full hour.

    Of a stream that began in an hour, from 17 minutes before it on, the next one. A full hour,
    because workers do not agree to the second on when a stream began, and the time makes the
    incident's id; 17 minutes, because streams like to begin on the hour.

    Example:
        >>> missing_from(3_500_000_000, 3600.0) == missing_from(3_700_000_000, 3600.0)
        True
        >>> missing_from(3_700_000_000, 3600.0) // HOUR
        3
    """
    return ((began + EARLY) // HOUR + 1) * HOUR + round(grace * SECOND)


def speak_again(troubles: Troubles, device: Device, time: int, arrival: int) -> list[Transition]:
    """A reading came: whatever silence was open is over, and told with the gap's length.

    Args:
        troubles: The device's state; changed. Let time pass up to the reading first.
        device: The device, and its rule.
        time: The reading's event time, microseconds.
        arrival: Its arrival time.
    """
    incident = troubles.silence
    if incident is None:
        return []
    if incident.kind == "flapping":
        # Over when it has not been silent for long: `take_reading` sees to that.
        if incident.silent:
            incident.last_seen, incident.silent = max(incident.last_seen, time), False
        return []
    close(troubles, "silence")
    if incident.dismissed:
        return []
    gap = (time - incident.last_seen) / SECOND
    incident.revision += 1
    incident.cause = incident.cause._replace(observed=gap)
    what = "heard of for the first time" if incident.kind == "missing" else "readings again"
    return [
        transition(
            "resolved",
            incident,
            device,
            # A reading that was held up can be older than the time at which it was missed.
            max(time, incident.opened_at),
            arrival,
            sentence=f"{what} after {tell_duration(gap)}",
            duration=gap,
        )
    ]


def end_unexpected(troubles: Troubles, device: Device, now: int) -> list[Transition]:
    """The registry expects a device no longer of which nothing was ever heard."""
    incident = troubles.silence
    if incident is None or incident.dismissed:
        return []
    close(troubles, "silence")
    incident.revision += 1
    time = max(now, incident.opened_at)
    words = "the registry expects it no longer"
    gap = (time - incident.last_seen) / SECOND
    return [transition("resolved", incident, device, time, None, sentence=words, duration=gap)]


def next_reminder(troubles: Troubles, device: Device) -> int:
    """When an open silence is told again though no reading comes; FOREVER for never."""
    incident = troubles.silence
    if incident is None or (incident.kind == "flapping" and not incident.silent):
        return FOREVER
    return reminder(incident, device.rule)


def _remind_until(troubles: Troubles, device: Device, until: int, out: list[Transition]) -> None:
    incident = troubles.silence
    if incident is None:
        return
    while (when := reminder(incident, device.rule)) <= until:
        if incident.kind != "flapping":
            waited = (when - incident.last_seen) / SECOND
            words = incident.cause.sentence.partition(";")[2]
            sentence = f"no reading for {tell_duration(waited)}" + (words and f";{words}")
            if incident.kind == "missing":
                sentence = f"nothing was ever heard of it, {tell_duration(waited)} into the stream"
            incident.cause = incident.cause._replace(observed=waited, sentence=sentence)
            lasted = when - incident.opened_at
            now = severity(incident.kind, 0.0, lasted, device.importance)
            incident.severity = max(incident.severity, now)
        remind(incident, device, when, None, out)


def _silence(last: int, due: int, usual: float) -> Cause:
    gap = (due - last) / SECOND
    return Cause(
        "silence",
        observed=gap,
        expected=usual / SECOND,
        sentence=f"no reading for {tell_duration(gap)}; "
        f"usually every {tell_duration(usual / SECOND)}",
    )
