"""`eddyline notify`: try the channels of a policy, and send again what could not be delivered."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec
import typer
from apache_beam.io.filesystems import FileSystems
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eddyline.io.alerts.senders import open_sender
from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.commands.resend import Resent, resend
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import AlertChannel
from eddyline.transforms.alerts.alert_message import Wording, example, read_wording
from eddyline.transforms.policy.policy import Policy, read_policy

FAILED = 1
# By the peer's code or the error's name: what a person can do about it.
ADVICE = {
    "secret": "Set the secret that the policy names, where the job runs.",
    "timeout": "Is the peer reachable from here? A firewall, a proxy, a wrong port?",
    "401": "The secret is wrong or was revoked.",
    "403": "The secret is wrong, or may not do this.",
    "404": "The address or channel does not exist.",
    "429": "The peer is limiting us: lower `limits.rate`.",
    "535": "User name or password is wrong.",
    "invalid_auth": "The token is wrong or was revoked.",
    "channel_not_found": "Invite the bot into the channel, or mend its name.",
    "not_in_channel": "Invite the bot into the channel.",
    "not installed": "pip install 'eddyline[apprise]'",
    "NotFound": "The topic does not exist in this account and region.",
    "AuthorizationError": "Allow sns:Publish on the topic.",
    "SSLCertVerificationError": "The server's certificate is not trusted: see `ca`.",
    "ConnectionRefusedError": "Nothing listens there: host and port?",
    "NewConnectionError": "Nothing listens there: host and port?",
    "NameResolutionError": "There is no such host name.",
    "gaierror": "There is no such host name.",
}

app = typer.Typer(
    help="Try the channels of a policy; send again what could not be delivered.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()

PolicyFile = Annotated[str, typer.Option("--policy", help="Policy file (local, s3://, gs://).")]


class Tried(NamedTuple):
    """How one channel took a test alert."""

    name: str
    kind: str
    failed: Failed | None
    status: str
    latency: float


@app.command("test")
def try_command(
    policy: PolicyFile,
    channel: Annotated[str, typer.Option(help="Only this one; all of them by default.")] = "",
) -> None:
    """Send a test alert through each channel of a policy. Exit code 0: all took it, 1: not all.

    Each gets one alert that says that it is a test, whatever the routes and mute windows say.

    Example: eddyline notify test --policy policy.yaml --channel on-call
    """
    with refusing():
        read = _read(policy)
        channels = chosen(read, channel)
        wording = read_wording(read.messages)
    moment = datetime.fromtimestamp(time.time(), UTC)
    with ThreadPoolExecutor(len(channels)) as threads:
        tried = list(
            threads.map(lambda item: _try(item[0], item[1], wording, moment), channels.items())
        )
    out.print(tried_table(tried))
    if any(one.failed for one in tried):
        raise typer.Exit(FAILED)


@app.command("resend")
def resend_command(
    policy: PolicyFile,
    lake: Annotated[str, typer.Option(help="The lake with the dead letters.")] = "lake",
    channel: Annotated[str, typer.Option(help="Only those of this channel.")] = "",
) -> None:
    """Send the alerts again that became dead letters. Exit code 0: all were taken, 1: not all.

    They are worded anew and keep their idempotency keys. What a channel has taken since is not sent
    again; what fails once more is a dead letter once more. The attempts are in `deliveries`.

    Example: eddyline notify resend --policy policy.yaml --lake lake
    """
    with refusing():
        read = _read(policy)
        if channel:
            chosen(read, channel)
        resent = resend(lake, read, channel)
    out.print(_told(resent))
    if resent.refused:
        raise typer.Exit(FAILED)


def chosen(policy: Policy, channel: str) -> dict[str, AlertChannel]:
    """The channels to try.

    Raises:
        ValueError: There is no such channel, or none at all.
    """
    if not policy.channels:
        raise ValueError("the policy has no channels")
    if channel and channel not in policy.channels:
        there = ", ".join(sorted(policy.channels))
        raise ValueError(f"--channel: there is no {channel!r}; there are: {there}")
    return {n: c for n, c in policy.channels.items() if channel in ("", n)}


def tried_table(tried: Sequence[Tried]) -> Table:
    """What became of each test alert, and what to do."""
    table = Table("channel", "kind", "outcome", "status", "latency", "what to do", box=None)
    for one in tried:
        table.add_row(
            escape(one.name),
            one.kind,
            "[green]delivered[/]" if one.failed is None else "[bold red]failed[/]",
            escape(one.status),
            f"{one.latency * 1000:.0f} ms",
            escape("\n".join(_advice(one.failed))),
        )
    return table


def _advice(failed: Failed | None) -> Iterator[str]:
    if failed is not None:
        yield str(failed)
        if advice := ADVICE.get(failed.status):
            yield advice


def _try(name: str, config: AlertChannel, wording: Wording, moment: datetime) -> Tried:
    # Of its own id: a channel that deduplicates would not show the second test.
    incident = msgspec.structs.replace(
        example(),
        incident_id=f"eddyline-test-{moment:%Y%m%dT%H%M%S}",
        event_time=moment,
        opened_at=moment,
        last_seen=moment,
    )
    alert = Alert(channel=name, incident=incident, message=wording.message(incident))
    kind = str(type(config).__struct_config__.tag)
    began = time.monotonic()
    try:
        status = open_sender(config).send(alert)
    except Failed as failed:
        return Tried(name, kind, failed, failed.status, time.monotonic() - began)
    return Tried(name, kind, None, status, time.monotonic() - began)


def _read(path: str) -> Policy:
    with FileSystems.open(path) as file:
        return read_policy(path, file.read())


def _told(resent: Resent) -> str:
    if not resent.delivered + resent.refused:
        return "Nothing to send again."
    return f"{resent.delivered} delivered, {resent.refused} refused once more."
