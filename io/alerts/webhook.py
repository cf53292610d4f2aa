"""Webhook: a POST of JSON, signed where there is a secret."""

import time
from collections.abc import Callable

import msgspec
import urllib3

from eddyline.io.alerts.document import document
from eddyline.io.alerts.post import post
from eddyline.io.alerts.signature import HEADER, sign
from eddyline.io.secret import STORES, Secrets
from eddyline.schemas.alert import Alert
from eddyline.schemas.alert_channel import WebhookChannel


class WebhookSender:
    """Posts `document(alert)`; the receiver deduplicates by the header `Idempotency-Key`."""

    def __init__(
        self,
        config: WebhookChannel,
        secrets: Secrets,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._secrets, self._clock = config, secrets, clock
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1)

    def send(self, alert: Alert) -> str:
        """Send it once."""
        config, body = self._config, msgspec.json.encode(document(alert))
        headers = {name: self._reveal(value) for name, value in config.headers.items()}
        headers |= {"Content-Type": "application/json", "Idempotency-Key": alert.key}
        if config.secret is not None:
            headers[HEADER] = sign(self._secrets.read(config.secret), body, self._clock())
        url = self._reveal(config.url)
        return post(self._pool, url, body, headers, config.limits.timeout)

    def _reveal(self, written: str) -> str:
        """What is written, or what it refers to."""
        kind = written.partition(":")[0]
        return self._secrets.read(written) if kind in STORES else written
