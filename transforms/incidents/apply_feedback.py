"""What an operator's command does to a device: raised thresholds that decay, no reminders."""

from collections.abc import Mapping

from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.life_cycle import (
    DAY,
    FOREVER,
    SECOND,
    Device,
    Transition,
    transition,
)
from eddyline.transforms.incidents.trouble import Incident, Raise, Troubles

SHARE = 0.25
"""Of what the peak was over its threshold."""
LEAST = 0.1
"""Of the threshold: a `false_alarm` raises it by this at least."""
MOST = 1.0
"""Of the threshold: all `false_alarm`s together raise it by no more."""
SILENCE, MOST_SILENCE = 0.5, 3.0
"""Of the time without a reading that is a silence."""
HALF_LIFE = 7
"""Days."""
FORGOTTEN = 28
"""Days after which nothing is left of a raise: a sixteenth."""
STAYS = 3_600 * SECOND
"""How long after an `acknowledge` a condition still stands when it is taken for the new normal."""
_NAMED = {"acknowledge": "acknowledged", "confirmed": "confirmed", "false_alarm": "false_alarm"}


def apply_command(
    troubles: Troubles, device: Device, command: Command, thresholds: Mapping[str, float]
) -> list[Transition]:
    """Take a command on an incident that is open or was among the last resolved ones.

    `acknowledge` ends its reminders: it is told again only when its score is worse and severer. A
    condition that still stands an hour later is taken for the new normal. `false_alarm` resolves it
    and raises the thresholds of the kinds it was made of, by a quarter of what the peak was over
    them (at least a tenth, together at most as much again); that halves every 7 days. What is under
    alarm still opens nothing new until it has been quiet or is half as bad again. A silence is
    waited for half as long again; a hard limit is the registry's and stays. `confirmed` takes
    earlier raises back.

    Args:
        troubles: The device's state; changed.
        device: The device.
        command: The command.
        thresholds: Kind -> the threshold that holds now, for the detector's kinds.

    Returns:
        The rows it makes; none where the command was given before, or the incident is not known
        (then a `false_alarm` or `confirmed` that names its kind still counts).
    """
    found = _find(troubles, device, command)
    if found is None:
        if command.kind is not None:
            _judge(troubles, command, {command.kind: _default(command.kind, thresholds)})
        return []
    slot, incident = found
    if (command.action, command.time) in incident.said:
        return []
    incident.said = [*incident.said, (command.action, command.time)][-8:]
    time = max(command.time, incident.opened_at)
    incident.revision += 1
    who = command.by or "an operator"
    words = {
        "acknowledge": f"{who} acknowledged it",
        "confirmed": f"{who} confirmed it",
        "false_alarm": f"{who} called it a false alarm",
    }[command.action]
    out = [
        transition(
            _NAMED[command.action],
            incident,
            device,
            time,
            None,
            sentence=f"{words}: {incident.cause.sentence}",
            by=command.by,
        )
    ]
    _judge(troubles, command, _amounts(incident))
    if slot is None:
        return out
    if command.action == "acknowledge" and not incident.acknowledged:
        incident.acknowledged = time
        if slot == "value":
            troubles.rebaseline_at = time + STAYS
    if command.action == "false_alarm" and not incident.dismissed:
        incident.dismissed = True
        incident.revision += 1
        lasted = (incident.last_seen - incident.opened_at) / SECOND
        if slot == "silence":
            lasted = (time - incident.last_seen) / SECOND
        out.append(
            transition("resolved", incident, device, time, None, sentence=words, duration=lasted)
        )
    return out


def next_decay(troubles: Troubles) -> int:
    """When one of the raises is a day older; FOREVER without any."""
    return min((r.since + (r.days + 1) * DAY for r in troubles.raised.values()), default=FOREVER)


def decay(troubles: Troubles, time: int) -> None:
    """Let the raises age to a time, in whole days: within one all readings meet the same."""
    for kind, one in list(troubles.raised.items()):
        one.days = max(one.days, (time - one.since) // DAY)
        if one.days >= FORGOTTEN:
            troubles.raised = {k: r for k, r in troubles.raised.items() if k != kind}


def raised_by(troubles: Troubles, kind: str) -> float:
    """What is added to a kind's threshold now.

    Example:
        >>> raised_by(Troubles(raised={"event": Raise(2.0, since=0, days=7)}), "event")
        1.0
    """
    one = troubles.raised.get(kind)
    return 0.0 if one is None else one.amount * 2.0 ** (-one.days / HALF_LIFE)


def stands(troubles: Troubles, quiet: int) -> bool:
    """Whether an acknowledged condition still stands when it is to be taken for normal."""
    incident = troubles.value
    return (
        incident is not None
        and incident.acknowledged > 0
        and incident.last_seen > troubles.rebaseline_at - quiet
    )


def _find(
    troubles: Troubles, device: Device, command: Command
) -> tuple[str | None, Incident] | None:
    from_slots = [(slot, getattr(troubles, slot)) for slot in ("value", "limits", "silence")]
    for slot, incident in [*from_slots, *((None, i) for i in reversed(troubles.closed))]:
        if incident is not None and incident.id_of(device.device_id) == command.incident_id:
            return slot, incident
    return None


def _amounts(incident: Incident) -> dict[str, tuple[float, float]]:
    """Kind -> how much to raise, and the most that it may be in all."""
    kind = incident.folds or incident.kind
    if kind == "silent":
        return {kind: (SILENCE, MOST_SILENCE)}
    return {
        part: (
            max(SHARE * (score - threshold), LEAST * abs(threshold)),
            MOST * abs(threshold),
        )
        for part, (score, threshold) in incident.peaks.items()
        if kind not in ("out_of_limits", "missing")
    }


def _default(kind: str, thresholds: Mapping[str, float]) -> tuple[float, float]:
    if kind == "silent":
        return SILENCE, MOST_SILENCE
    threshold = abs(thresholds.get(kind, 0.0))
    return SHARE * threshold, MOST * threshold


def _judge(
    troubles: Troubles, command: Command, amounts: Mapping[str, tuple[float, float]]
) -> None:
    if command.action == "acknowledge":
        return
    raised = {kind: one for kind, one in troubles.raised.items() if kind not in amounts}
    if command.action == "false_alarm":
        for kind, (more, most) in amounts.items():
            amount = min(raised_by(troubles, kind) + more, most)
            if amount > 0:
                raised[kind] = Raise(amount, command.time)
    troubles.raised = raised
