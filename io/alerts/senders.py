"""The sender of a channel, by its kind; no error of it tells a secret."""

import logging
from collections.abc import Callable
from functools import partial

from eddyline.io.alerts.apprise import AppriseSender
from eddyline.io.alerts.file import FileSender
from eddyline.io.alerts.pagerduty import PagerdutySender
from eddyline.io.alerts.pubsub import PubsubSender
from eddyline.io.alerts.slack import SlackSender
from eddyline.io.alerts.smtp import SmtpSender
from eddyline.io.alerts.sns import SnsSender
from eddyline.io.alerts.stdout import StdoutSender
from eddyline.io.alerts.webhook import WebhookSender
from eddyline.io.secret import HideSecrets, Secrets, SecretUnavailable
from eddyline.schemas.alert import Alert, Failed, Sender
from eddyline.schemas.alert_channel import (
    AlertChannel,
    AppriseChannel,
    FileChannel,
    PagerdutyChannel,
    PubsubChannel,
    SlackChannel,
    SmtpChannel,
    SnsChannel,
    StdoutChannel,
    WebhookChannel,
)

# Each peer's own word for "I do not know you": the secret may have been rotated.
UNKNOWN = {"401", "403", "535", "invalid_auth", "token_revoked", "token_expired"}
# Loggers that write addresses into their debug lines.
_TALKATIVE = ("urllib3.connectionpool", "apprise", "eddyline.io.alerts.slack.client")
_HIDE = HideSecrets()
for _name in _TALKATIVE:
    logging.getLogger(_name).addFilter(_HIDE)


def open_sender(config: AlertChannel) -> Sender:
    """Open a channel; its secrets are read when it first sends, in the process that sends.

    Example:
        >>> open_sender(StdoutChannel())
        GuardedSender(Secrets(0 kept))
    """
    secrets = Secrets()
    return GuardedSender(partial(_open, config, secrets), secrets)


class GuardedSender:
    """A sender whose errors tell no secret, and that takes up a rotated one at once.

    Args:
        open_: Opens what sends, at the first alert: it may need the network.
        secrets: The secrets that it reads.
    """

    def __init__(self, open_: Callable[[], Sender], secrets: Secrets) -> None:
        self._open, self._secrets = open_, secrets
        self._sender: Sender | None = None
        _HIDE.watch(secrets)

    def send(self, alert: Alert) -> str:
        """Send it once; twice where the peer did not know us and a secret has changed since."""
        try:
            return self._send(alert)
        except Failed as failed:
            if failed.status not in UNKNOWN or not self._changed():
                raise
        return self._send(alert)

    def _send(self, alert: Alert) -> str:
        try:
            return self._opened().send(alert)
        except SecretUnavailable as error:
            raise Failed(str(error), status="secret", permanent=error.permanent) from None
        except Failed as error:
            raise Failed(
                self._secrets.redact(str(error)),
                status=self._secrets.redact(error.status),
                permanent=error.permanent,
                retry_after=error.retry_after,
            ) from None
        except Exception as error:  # a bug of one channel must not stop the others
            words = self._secrets.redact(f"{type(error).__name__}: {error}")
            raise Failed(words[:500], status=type(error).__name__, permanent=True) from None

    def _opened(self) -> Sender:
        if self._sender is None:
            try:
                self._sender = self._open()
            except Exception as error:  # of whatever class a cloud's client makes of it
                words = f"cannot open the channel: {type(error).__name__}: {error}"
                raise Failed(words[:500], status=type(error).__name__) from None
        return self._sender

    def _changed(self) -> bool:
        try:
            return self._secrets.renew()
        except SecretUnavailable:
            return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._secrets})"


def _open(config: AlertChannel, secrets: Secrets) -> Sender:
    match config:
        case StdoutChannel():
            return StdoutSender()
        case FileChannel():
            return FileSender(config)
        case WebhookChannel():
            return WebhookSender(config, secrets)
        case SlackChannel():
            return SlackSender(config, secrets)
        case SmtpChannel():
            return SmtpSender(config, secrets)
        case SnsChannel():
            return SnsSender(config)
        case PubsubChannel():
            return PubsubSender(config)
        case PagerdutyChannel():
            return PagerdutySender(config, secrets)
        case AppriseChannel():
            return AppriseSender(config, secrets)
