"""Alert channels as the policy file writes them: a kind each, its settings, its limits."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Reference = Annotated[
    str,
    Meta(
        pattern=r"^(env|file|gcp-secret|aws-secret):\S+$",
        description="Where a secret is: env:NAME, file:PATH, gcp-secret:NAME or aws-secret:NAME.",
    ),
]
Address = Annotated[
    str,
    Meta(
        pattern=r"^(https?://\S+|(env|file|gcp-secret|aws-secret):\S+)$",
        description="An address, or where it is kept when it is itself a secret.",
    ),
]
Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a channel is tried, and when it is given up.

    Args:
        timeout: Seconds one attempt may take.
        attempts: Attempts at one alert before it becomes a dead letter.
        age: Seconds after which an undelivered alert becomes a dead letter.
        first_wait: Upper bound of the wait before the second attempt; it doubles with each.
        longest_wait: Upper bound of any wait, also of what the peer asks for by Retry-After.
        rate: Alerts a second in the long run (a token bucket).
        burst: Alerts at once after a quiet time.
        failures: Failures in a row, of whatever alerts, that open the circuit breaker.
        pause: Seconds for which an open breaker tries nothing; then one alert is tried.
    """

    timeout: Seconds = 5.0
    attempts: Count = 20
    age: Seconds = 14_400.0
    first_wait: Seconds = 1.0
    longest_wait: Seconds = 300.0
    rate: Seconds = 1.0
    burst: Count = 20
    failures: Count = 5
    pause: Seconds = 60.0


class _Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limits: Limits = Limits()


class StdoutChannel(_Channel, frozen=True, kw_only=True, tag="stdout", tag_field="kind"):
    """One line an alert on standard output."""

    limits: Limits = Limits(rate=1000.0, burst=1000)


class FileChannel(_Channel, frozen=True, kw_only=True, tag="file", tag_field="kind"):
    """One line of JSON an alert, appended to a local file."""

    path: Annotated[str, Meta(min_length=1)]
    limits: Limits = Limits(rate=1000.0, burst=1000)


class WebhookChannel(_Channel, frozen=True, kw_only=True, tag="webhook", tag_field="kind"):
    """A POST of JSON, signed where there is a secret."""

    url: Address
    secret: Reference | None = None
    headers: dict[str, str] = {}
    limits: Limits = Limits(rate=10.0, burst=50)


class SlackChannel(_Channel, frozen=True, kw_only=True, tag="slack", tag_field="kind"):
    """A Slack message: by an incoming webhook, or by a bot's token into a named channel.

    The webhook's address is itself the secret, so both are references.
    """

    webhook: Reference | None = None
    token: Reference | None = None
    channel: str = ""
    api: Annotated[str, Meta(pattern=r"^https?://")] = "https://slack.com/api/"

    def __post_init__(self) -> None:
        if (self.webhook is None) == (self.token is None):
            raise ValueError("slack: either `webhook`, or `token` and `channel`")
        if self.token is not None and not self.channel:
            raise ValueError("slack: `channel` is missing beside `token`")


class SmtpChannel(
    _Channel, frozen=True, kw_only=True, tag="smtp", tag_field="kind", rename={"sender": "from"}
):
    """An e-mail.

    Args:
        host: The mail server.
        sender: Address of the sender; in the file `from`.
        to: Addresses of the receivers.
        port: 587 for `starttls`, 465 for `implicit`.
        tls: How the connection is encrypted; `none` is refused together with a password.
        user: Name to log in with; empty for no login.
        password: Where its password is.
        ca: A file of certificates to trust in place of the system's.
    """

    host: Annotated[str, Meta(min_length=1)]
    sender: Annotated[str, Meta(pattern=r"^[^\s@]+@[^\s@]+$")]
    to: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^\s@]+@[^\s@]+$")], ...], Meta(min_length=1)
    ]
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    password: Reference | None = None
    ca: str = ""

    def __post_init__(self) -> None:
        if (self.password is None) != (not self.user):
            raise ValueError("smtp: `user` and `password` go together")
        if self.password is not None and self.tls == "none":
            raise ValueError("smtp: a password is not sent over an unencrypted connection")


class SnsChannel(_Channel, frozen=True, kw_only=True, tag="sns", tag_field="kind"):
    """An Amazon SNS topic, by the worker's own AWS credentials."""

    topic: Annotated[str, Meta(pattern=r"^arn:[^:\s]*:sns:[^:\s]+:\d*:\S+$")]
    endpoint: str = ""
    limits: Limits = Limits(rate=10.0, burst=50)


class PubsubChannel(_Channel, frozen=True, kw_only=True, tag="pubsub", tag_field="kind"):
    """A Google Pub/Sub topic, by the worker's own credentials."""

    topic: Annotated[str, Meta(pattern=r"^projects/[^/\s]+/topics/[^/\s]+$")]
    endpoint: str = ""
    limits: Limits = Limits(rate=10.0, burst=50)


class PagerdutyChannel(_Channel, frozen=True, kw_only=True, tag="pagerduty", tag_field="kind"):
    """PagerDuty's Events API v2, and what speaks like it."""

    routing_key: Reference
    url: Annotated[str, Meta(pattern=r"^https?://")] = "https://events.pagerduty.com/v2/enqueue"
    limits: Limits = Limits(rate=2.0, burst=20)


class AppriseChannel(_Channel, frozen=True, kw_only=True, tag="apprise", tag_field="kind"):
    """One of Apprise's hundred services, by its URL, which holds the secret."""

    url: Reference


AlertChannel = (
    StdoutChannel
    | FileChannel
    | WebhookChannel
    | SlackChannel
    | SmtpChannel
    | SnsChannel
    | PubsubChannel
    | PagerdutyChannel
    | AppriseChannel
)
"""A channel of any kind; `msgspec.convert(written, AlertChannel)` checks one by its `kind`."""

ChannelConfig = AlertChannel
Secret = Reference


class MessageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How alerts are worded.

    Args:
        dashboard: Address of an incident on the dashboard with `{incident_id}` in it; empty for
            no link. `{device_id}` and `{site}` may stand there too.
        time_zone: In which times are told, such as Europe/Zurich.
        templates: A folder with templates that replace ours; see docs/alerts.md.
    """

    dashboard: str = ""
    time_zone: str = "UTC"
    templates: str = ""
