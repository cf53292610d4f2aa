"""PagerDuty's Events API v2: trigger, acknowledge, resolve."""

from typing import Any

import msgspec
import urllib3

from eddyline.io.alerts.post import post
from eddyline.io.secret import Secrets
from eddyline.schemas.alert import Alert
from eddyline.schemas.alert_channel import PagerdutyChannel

ACTIONS = {"acknowledged": "acknowledge", "resolved": "resolve"}
LONGEST_SUMMARY, LONGEST_KEY = 1024, 255


class PagerdutySender:
    """Sends events whose `dedup_key` is the incident's id: its transitions are one alert there."""

    def __init__(self, config: PagerdutyChannel, secrets: Secrets) -> None:
        self._config, self._secrets = config, secrets
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1)

    def send(self, alert: Alert) -> str:
        """Send it once."""
        written = event(alert, self._secrets.read(self._config.routing_key))
        body, headers = msgspec.json.encode(written), {"Content-Type": "application/json"}
        return post(self._pool, self._config.url, body, headers, self._config.limits.timeout)


def event(alert: Alert, routing_key: str) -> dict[str, Any]:
    """The event, in the form of https://developer.pagerduty.com/docs/events-api-v2-overview."""
    incident = alert.incident
    links = [("Dashboard", alert.message.dashboard), ("Map", alert.message.map)]
    return {
        "routing_key": routing_key,
        "event_action": ACTIONS.get(incident.transition, "trigger"),
        "dedup_key": incident.incident_id[:LONGEST_KEY],
        "client": "eddyline",
        "client_url": alert.message.dashboard,
        "links": [{"href": href, "text": text} for text, href in links if href],
        "payload": {
            "summary": alert.message.subject[:LONGEST_SUMMARY],
            "source": incident.device_id or incident.site or incident.incident_id,
            "severity": incident.severity,
            "timestamp": incident.event_time.isoformat(),
            "component": incident.channels[0] if incident.channels else incident.kind,
            "group": incident.site or "",
            "class": incident.kind,
            "custom_details": {
                "key": alert.key,
                "text": alert.message.text,
                **msgspec.to_builtins(incident),
            },
        },
    }
