"""Google Pub/Sub: one message an alert, with attributes to filter by."""

import os
from typing import Any

import msgspec

from eddyline.io.alerts.document import document
from eddyline.io.load import load
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import PubsubChannel


class PubsubSender:
    """Publishes to a topic; the subscriber deduplicates by the attribute `key`.

    Where `PUBSUB_EMULATOR_HOST` is set the emulator there is the peer.
    """

    def __init__(self, config: PubsubChannel) -> None:
        self._config = config
        self._client = _client(config.endpoint)

    def send(self, alert: Alert) -> str:
        """Send it once."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError

        try:
            self._client.publish(
                topic=self._config.topic,
                messages=[{"data": _data(alert), "attributes": attributes(alert)}],
                timeout=self._config.limits.timeout,
                retry=None,
            )
        except GoogleAPICallError as error:
            status = int(error.code or 500)
            passing = status in (408, 409, 429, 499) or status >= 500
            words = f"{type(error).__name__}: {str(error.message)[:200]}"
            raise Failed(words, status=str(status), permanent=not passing) from None
        except GoogleAuthError as error:
            name = type(error).__name__
            raise Failed(f"no credentials: {name}", status=name) from None
        return "200"


def attributes(alert: Alert) -> dict[str, str]:
    """The message's attributes; those that are not known are left out."""
    incident = alert.incident
    known = {
        "key": alert.key,
        "incident_id": incident.incident_id,
        "kind": incident.kind,
        "severity": incident.severity,
        "transition": incident.transition,
        "site": incident.site,
        "device_id": incident.device_id,
    }
    # Pub/Sub takes 256 bytes of a name and 1,024 of a value.
    return {name: value[:256] for name, value in known.items() if value}


def _data(alert: Alert) -> bytes:
    return msgspec.json.encode(document(alert))


def _client(endpoint: str) -> Any:
    load("google.pubsub_v1", "grpc")
    from google.pubsub_v1 import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    if emulator := os.environ.get("PUBSUB_EMULATOR_HOST", ""):
        import grpc

        transport = PublisherGrpcTransport(channel=grpc.insecure_channel(emulator))
        return PublisherClient(transport=transport)
    return PublisherClient(client_options={"api_endpoint": endpoint} if endpoint else None)
