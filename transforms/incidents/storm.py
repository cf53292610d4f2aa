"""One storm: many devices of one site in trouble at once, told as one incident."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec

from eddyline.transforms.incidents.incident_id import incident_id

Row = dict[str, Any]
"""A row of the `incident` record; its times are whole microseconds."""

SECOND = 1_000_000
SEVERITIES = ("info", "warning", "error", "critical")
LISTED = 100
"""Members whose incident ids a storm's row lists."""
REMINDERS = (3_600 * SECOND, 14_400 * SECOND, 86_400 * SECOND)
"""After opening: when an open storm is told again, if one of its members says something by then."""
DAY = 86_400 * SECOND


class OpenStorm(msgspec.Struct):
    """What is known of one storm.

    Args:
        incident_id: Its id.
        site: The site.
        need: So many devices made it.
        opened_at: Opening of its earliest member.
        first: Device of its earliest member.
        latitude: Of that device.
        longitude: Of that device.
        members: Incident id -> is it still open.
        devices: Devices of the members.
        kinds: Kind -> members of it.
        open: How many members are open.
        worst: The highest severity of its members, a place in `SEVERITIES`.
        last_seen: The latest of its members'.
        revision: Of its next row.
        told: (members, severity) of its last row.
        remind_at: When it is told again.
        resolved_at: When its last member was resolved; None while it is open.
    """

    incident_id: str
    site: str
    need: int
    opened_at: int
    first: str
    latitude: float | None
    longitude: float | None
    members: dict[str, bool] = {}
    devices: dict[str, None] = {}
    kinds: dict[str, int] = {}
    open: int = 0
    worst: int = 0
    last_seen: int = 0
    revision: int = 0
    told: tuple[int, int] = (0, 0)
    remind_at: int = 0
    resolved_at: int | None = None

    @property
    def joinable(self) -> bool:
        """Whether further openings of the site belong to it.

        So long as half the devices that make a storm are in trouble: else one device that stays
        broken for weeks would take every later trouble of its site in, and nobody be told of it.
        """
        return self.resolved_at is None and 2 * self.open >= self.need

    @property
    def severity(self) -> int:
        """A place in `SEVERITIES`: one step above its worst member's."""
        return min(self.worst + 1, len(SEVERITIES) - 1)

    @property
    def changed(self) -> bool:
        """Whether it is worse than its last row said, or twice as large."""
        members, severity = self.told
        return self.severity > severity or len(self.members) >= 2 * members

    def join(self, opening: Row) -> None:
        """Take a member in by the row that opened it."""
        self.members[opening["incident_id"]] = True
        self.open += 1
        if opening["device_id"] is not None:
            self.devices[opening["device_id"]] = None
        self.kinds[opening["kind"]] = self.kinds.get(opening["kind"], 0) + 1
        self.hear(opening)

    def hear(self, row: Row) -> None:
        """Take in any transition of a member."""
        if row["severity"] in SEVERITIES:
            self.worst = max(self.worst, SEVERITIES.index(row["severity"]))
        self.last_seen = max(self.last_seen, row["last_seen"])
        member = row["incident_id"]
        if row["transition"] == "resolved" and self.members[member]:
            self.members[member] = False
            self.open -= 1

    def tell(self, transition: str, now: int, arrival: int | None, site_devices: int | None) -> Row:
        """Its next row.

        Args:
            transition: opened, updated or resolved.
            now: Event time of the transition.
            arrival: Arrival of the reading that made it; None where time's passing did.
            site_devices: Devices of the site, if that is known.
        """
        if transition == "resolved":
            self.resolved_at = now
        self.told = (len(self.members), self.severity)
        self.remind_at = _next_reminder(self.opened_at, now)
        self.revision += 1
        return {
            "incident_id": self.incident_id,
            "revision": self.revision - 1,
            "transition": transition,
            "kind": "storm",
            "severity": SEVERITIES[self.severity],
            "event_time": now,
            "opened_at": self.opened_at,
            "last_seen": self.last_seen,
            "arrival_time": arrival,
            "device_id": None,
            "site": self.site,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "model": None,
            "count": len(self.members),
            "score": None,
            "peak": None,
            "duration": (now - self.opened_at) / SECOND,
            "sign": None,
            "channels": [],
            "observed": None,
            "expected": None,
            "expected_low": None,
            "expected_high": None,
            "explanation": self._sentence(transition, now, site_devices),
            "storm_id": None,
            "members": list(self.members)[:LISTED],
            "operator": None,
        }

    def _sentence(self, transition: str, now: int, site_devices: int | None) -> str:
        devices = len(self.devices)
        of = f" of {site_devices}" if site_devices is not None and site_devices >= devices else ""
        kinds = sorted(self.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        words = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in kinds)
        since = datetime.fromtimestamp(self.opened_at // SECOND, UTC)
        over = ""
        if transition == "resolved":
            over = f", all over after {_span(now - self.opened_at)}"
        return (
            f"{devices}{of} devices at {self.site}: {words}, since {since:%H:%M} UTC"
            f"{over}; first {self.first}"
        )


def new_storm(site: str, need: int, openings: list[Row]) -> OpenStorm:
    """A storm of these members.

    Args:
        site: The site.
        need: So many devices made it.
        openings: Rows that opened its members, the earliest first.

    Example:
        >>> opening = {"incident_id": "a1", "transition": "opened", "kind": "silent",
        ...     "severity": "warning", "event_time": 60_000_000, "last_seen": 0,
        ...     "device_id": "a", "latitude": None, "longitude": None}
        >>> other = {**opening, "incident_id": "b1", "device_id": "b"}
        >>> storm = new_storm("Bern", 2, [opening, other])
        >>> row = storm.tell("opened", 90_000_000, None, 40)
        >>> row["severity"], row["count"], row["explanation"]
        ('error', 2, '2 of 40 devices at Bern: 2 silent, since 00:01 UTC; first a')
    """
    first = openings[0]
    opened_at = first["event_time"]
    storm = OpenStorm(
        incident_id(site, "storm", opened_at),
        site,
        need,
        opened_at,
        first["device_id"] or "",
        first["latitude"],
        first["longitude"],
    )
    for opening in openings:
        storm.join(opening)
    return storm


def count_devices(openings: list[Row]) -> int:
    """How many devices these incidents are of."""
    return len(Counter(opening["device_id"] for opening in openings))


def _next_reminder(opened_at: int, now: int) -> int:
    for after in REMINDERS:
        if opened_at + after > now:
            return opened_at + after
    return opened_at + ((now - opened_at) // DAY + 1) * DAY


def _span(micros: int) -> str:
    seconds = micros // SECOND
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"
