"""An alert: one transition of an incident, worded for people, for one channel."""

from datetime import datetime
from typing import Protocol

import msgspec


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the record `incident` as a value; the fields are those of `incident.avsc`."""

    incident_id: str
    revision: int
    transition: str
    kind: str
    severity: str
    event_time: datetime
    opened_at: datetime
    last_seen: datetime
    count: int
    duration: float
    explanation: str
    arrival_time: datetime | None = None
    device_id: str | None = None
    site: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    model: str | None = None
    score: float | None = None
    peak: float | None = None
    sign: str | None = None
    channels: tuple[str, ...] = ()
    observed: float | None = None
    expected: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    storm_id: str | None = None
    members: tuple[str, ...] = ()
    operator: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key: the same in every attempt, on replay and on every engine."""
        return f"{self.incident_id}:{self.revision}:{self.transition}"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What people read.

    Args:
        subject: One line that is understood on a phone.
        text: The whole message as plain text.
        html: The same as HTML.
        dashboard: Link to the incident, or empty.
        map: Link to the place on a map, or empty.
    """

    subject: str
    text: str
    html: str
    dashboard: str = ""
    map: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender sends; `key` goes into the channel's own field for deduplication."""

    channel: str
    incident: Incident
    message: Message

    @property
    def key(self) -> str:
        """The idempotency key of the transition."""
        return self.incident.key


class Failed(Exception):
    """An attempt that did not deliver.

    Args:
        words: What went wrong; holds no secret.
        status: The peer's own code such as "429", or the error's name.
        permanent: Trying again is of no use.
        retry_after: Seconds that the peer asks to wait, where it does.
    """

    def __init__(
        self,
        words: str,
        *,
        status: str,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(words)
        self.status, self.permanent, self.retry_after = status, permanent, retry_after


class Sender(Protocol):
    """One channel, open."""

    def send(self, alert: Alert) -> str:
        """Send it once and give the peer's status; it returns only where the peer took it.

        Raises:
            Failed: It did not.
        """
        ...
