"""An alert as a document: what programs read."""

from typing import Any

import msgspec

from eddyline.schemas.alert import Alert


def document(alert: Alert) -> dict[str, Any]:
    """The alert's key, words, links and the incident's row; docs/alerts.md has it."""
    return {
        "key": alert.key,
        "channel": alert.channel,
        "subject": alert.message.subject,
        "text": alert.message.text,
        "dashboard": alert.message.dashboard or None,
        "map": alert.message.map or None,
        "incident": msgspec.to_builtins(alert.incident),
    }
