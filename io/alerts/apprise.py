"""Apprise: the hundred services that have no file of their own here."""

from eddyline.io.load import load
from eddyline.io.secret import Secrets
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import AppriseChannel

TYPES = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}


class AppriseSender:
    """Sends through Apprise (`pip install eddyline[apprise]`).

    Apprise says no more than yes or no, so every no is tried again, and nothing is deduplicated.
    """

    def __init__(self, config: AppriseChannel, secrets: Secrets) -> None:
        self._config, self._secrets = config, secrets

    def send(self, alert: Alert) -> str:
        """Send it once."""
        try:
            load("apprise")
            import apprise
        except ImportError:
            words = "Apprise is not installed: pip install 'eddyline[apprise]'"
            raise Failed(words, status="not installed", permanent=True) from None
        service = apprise.Apprise()
        if not service.add(self._secrets.read(self._config.url)):
            words = f"{self._config.url} holds no URL that Apprise knows"
            raise Failed(words, status="bad url", permanent=True)
        resolved = alert.incident.transition == "resolved"
        kind = "success" if resolved else TYPES.get(alert.incident.severity, "info")
        if not service.notify(
            body=alert.message.text, title=alert.message.subject, notify_type=kind
        ):
            raise Failed("Apprise could not deliver it", status="not delivered")
        return "sent"
