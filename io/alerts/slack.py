"""Slack: an incoming webhook, or a bot's token."""

import logging
from typing import Any

from eddyline.io.alerts.post import WORDS, refusal, seconds_of
from eddyline.io.load import load
from eddyline.io.secret import Secrets
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import SlackChannel

MARKS = {"info": "⚪", "warning": "🟡", "error": "🟠", "critical": "🔴"}
# What the Web API says by `ok: false` and a later try may not hear again.
PASSING = {"ratelimited", "rate_limited", "fatal_error", "internal_error", "service_unavailable",
           "request_timeout"}  # fmt: skip
LONGEST_HEADER, LONGEST_TEXT = 150, 3000
_QUIET = logging.getLogger(f"{__name__}.client")
_QUIET.setLevel(logging.WARNING)


class SlackSender:
    """Posts a message of blocks.

    Slack has no field to deduplicate by: an attempt whose answer was lost is seen twice. The key is
    in the message's metadata (by token), so that what reads the channel can tell.
    """

    def __init__(self, config: SlackChannel, secrets: Secrets) -> None:
        self._config, self._secrets = config, secrets

    def send(self, alert: Alert) -> str:
        """Send it once."""
        load("slack_sdk", "slack_sdk.webhook")
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            return self._by_token(alert) if self._config.token else self._by_webhook(alert)
        except SlackApiError as error:
            raise _refused(error.response) from None
        except (SlackClientError, OSError) as error:
            name = "timeout" if "timed out" in str(error) else type(error).__name__
            raise Failed(f"no answer: {name}", status=name) from None

    def _by_webhook(self, alert: Alert) -> str:
        from slack_sdk.webhook import WebhookClient

        client = WebhookClient(
            self._secrets.read(self._config.webhook or ""),
            timeout=self._timeout(),
            logger=_QUIET,
            retry_handlers=[],
        )
        answer = client.send(text=alert.message.subject, blocks=blocks(alert))
        if answer.status_code == 200:
            return "200"
        headers = {name.lower(): value for name, value in answer.headers.items()}
        raise refusal(
            answer.status_code, str(answer.body)[:WORDS], headers.get("retry-after")
        ) from None

    def _by_token(self, alert: Alert) -> str:
        from slack_sdk import WebClient

        client = WebClient(
            self._secrets.read(self._config.token or ""),
            base_url=self._config.api,
            timeout=self._timeout(),
            logger=_QUIET,
            retry_handlers=[],
        )
        client.chat_postMessage(
            channel=self._config.channel,
            text=alert.message.subject,
            blocks=blocks(alert),
            unfurl_links=False,
            metadata={
                "event_type": "eddyline_incident",
                "event_payload": {"key": alert.key, "incident_id": alert.incident.incident_id},
            },
        )
        return "200"

    def _timeout(self) -> int:
        return max(round(self._config.limits.timeout), 1)


def blocks(alert: Alert) -> list[dict[str, Any]]:
    """The message as Slack's blocks: a header, the text, where and links."""
    incident, message = alert.incident, alert.message
    mark = "🟢" if incident.transition == "resolved" else MARKS.get(incident.severity, "")
    links = [("Dashboard", message.dashboard), ("Map", message.map)]
    context = [incident.severity, incident.kind, incident.transition, incident.site or ""]
    told = " · ".join(_escape(word) for word in context if word)
    told += "".join(f" · <{href}|{text}>" for text, href in links if href)
    header = f"{mark} {message.subject}"[:LONGEST_HEADER]
    return [
        {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": True}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": _escape(message.text)[:LONGEST_TEXT]},
        },
        {"type": "context", "elements": [{"type": "mrkdwn", "text": told}]},
    ]


def _escape(words: str) -> str:
    """So that a device's name is no mention and no link."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refused(answer: Any) -> Failed:
    if answer.status_code != 200:
        headers = {name.lower(): value for name, value in dict(answer.headers).items()}
        return refusal(answer.status_code, str(answer.data)[:WORDS], headers.get("retry-after"))
    code = str(answer.get("error", "unknown"))
    headers = {name.lower(): value for name, value in dict(answer.headers).items()}
    return Failed(
        f"Slack says {code}",
        status=code,
        permanent=code not in PASSING,
        retry_after=seconds_of(headers.get("retry-after")),
    )
