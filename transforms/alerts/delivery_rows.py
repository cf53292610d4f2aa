"""Rows of the records `delivery` and `dead_letter`, of what became of alerts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import pyarrow as pa

from eddyline.schemas.alert import Incident
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.attempt import Attempt
from eddyline.transforms.alerts.outbox import Settled

STAGE = "notify"
AlertReason = Literal["alert_refused", "alert_expired", "alert_unsent"]
"""Reasons of this stage's dead letters: the peer does not take it; tries or time ran out; never
tried, because the channel is gone, is full, or the job ended."""

# No channel of a device is in them, so any contract tells their types.
_CONTRACT = load_contract("room")
DELIVERY = arrow_schema(_CONTRACT.record("delivery"))
DEAD_LETTER = arrow_schema(_CONTRACT.record("dead_letter"))


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a dead letter of this stage: enough to send the alert again."""

    channel: str
    incident: Incident


def delivery(channel: str, settled: Settled, attempt: Attempt | None, now: float) -> dict[str, Any]:
    """A row of the record `delivery`.

    Args:
        channel: Its name.
        settled: What became of the alert.
        attempt: The attempt, or None where none was made.
        now: Seconds since the epoch.
    """
    incident = settled.incident
    began, ended = (now, now) if attempt is None else (attempt.began, attempt.ended)
    arrival = incident.arrival_time
    return {
        **muted(channel, incident, "", began),
        "attempt": settled.attempt,
        "outcome": str(settled.outcome),
        "status": settled.status if attempt is None or attempt.failed else attempt.status,
        "latency": max(ended - began, 0.0),
        "since_arrival": None if arrival is None else ended - arrival.timestamp(),
    }


def muted(channel: str, incident: Incident, window: str, now: float) -> dict[str, Any]:
    """The row of an alert that a mute window kept from being sent; its name is the status."""
    return {
        "attempted_at": datetime.fromtimestamp(now, UTC),
        "channel": channel,
        "key": incident.key,
        "incident_id": incident.incident_id,
        "revision": incident.revision,
        "transition": incident.transition,
        "kind": incident.kind,
        "severity": incident.severity,
        "device_id": incident.device_id,
        "site": incident.site,
        "attempt": 0,
        "outcome": "muted",
        "status": window,
        "latency": 0.0,
        "since_arrival": None,
    }


def dead_letter(channel: str, settled: Settled) -> dict[str, Any]:
    """The dead letter of an alert that was given up.

    The payload has the incident and not its words: sent again it is worded anew, by templates that
    may have been mended since.
    """
    incident = settled.incident
    return {
        "arrival_time": incident.arrival_time or incident.event_time,
        "stage": STAGE,
        "reason": settled.reason,
        "path": None,
        "error": settled.words[:500],
        "payload": msgspec.json.encode(Undelivered(channel=channel, incident=incident)),
        "attributes": {
            "channel": channel,
            "key": incident.key,
            "status": settled.status,
            "attempts": str(settled.attempt),
        },
        "source": f"{STAGE}:{channel}",
        "position": incident.key,
    }


def deliveries_of(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as a batch of the record `delivery`."""
    return pa.RecordBatch.from_pylist(list(rows), schema=DELIVERY)


def dead_letters_of(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as a batch of the record `dead_letter`."""
    return pa.RecordBatch.from_pylist(list(rows), schema=DEAD_LETTER)


def incidents_of(batch: pa.RecordBatch) -> list[Incident]:
    """The rows of a batch of the record `incident` as values."""
    return [msgspec.convert(row, Incident, strict=False) for row in batch.to_pylist()]
