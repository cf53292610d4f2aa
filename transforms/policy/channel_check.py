"""A channel of the policy file: its settings checked, and no secret among them."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from eddyline.schemas.alert_channel import AlertChannel, WebhookChannel
from eddyline.schemas.duration import Seconds
from eddyline.transforms.policy.misread import Misread, Path, convert

_REFERENCE = re.compile(r"(env|file|gcp-secret|aws-secret):\S+")
_SECRET_NAME = re.compile(r"auth|token|key|secret|cookie|password|sig", re.IGNORECASE)
_DURATIONS = ("timeout", "age", "first_wait", "longest_wait", "pause")
_REFUSED = (
    "a secret is never in this file: write it into an environment variable and say env:NAME "
    "(or file:, gcp-secret:, aws-secret:)"
)
_NO_ADDRESS = "an address that begins with https://, or env:NAME where it is itself a secret"


def read_channel(name: str, written: Mapping[str, Any]) -> AlertChannel:
    """A channel of what the file says under its name.

    Durations among the limits may be spelled as `Seconds` are.

    Raises:
        Misread: What is wrong. What stands in the place of a secret is never quoted.

    Example:
        >>> read_channel("ops", {"kind": "webhook", "url": "env:HOOK", "limits": {"timeout": "5s"}})
        WebhookChannel(limits=Limits(timeout=5.0, ...), url='env:HOOK', secret=None, headers={})
        >>> read_channel("ops", {"kind": "slack", "webhook": "https://hooks.slack.com/services/T0"})
        Traceback (most recent call last):
        eddyline.transforms.policy.misread.Misread: a secret is never in this file: write it into an
        environment variable and say env:NAME (or file:, gcp-secret:, aws-secret:)
    """
    path: Path = ("channels", name)
    if "kind" not in written:
        raise Misread("'kind' is missing, such as kind: slack", path)
    try:
        channel: AlertChannel = convert(_with_seconds(written, path), cast(Any, AlertChannel), path)
    except Misread as error:
        # msgspec says which pattern did not match, and not what was written.
        for pattern, words in (("'^(env|", _REFUSED), ("'^(https?", _NO_ADDRESS)):
            if f"matching regex {pattern}" in str(error):
                raise Misread(words, error.path) from None
        raise
    if isinstance(channel, WebhookChannel):
        _refuse_secrets(channel, path)
    return channel


def secret_references(channel: AlertChannel) -> dict[str, str]:
    """Setting -> reference, of each secret that a channel needs.

    Example:
        >>> ops = {"kind": "webhook", "url": "env:HOOK", "headers": {"X-Token": "file:/run/token"}}
        >>> secret_references(read_channel("ops", ops))
        {'url': 'env:HOOK', 'headers.X-Token': 'file:/run/token'}
    """
    written = {name: getattr(channel, name) for name in channel.__struct_fields__}
    headers = written.pop("headers", {})
    written |= {f"headers.{name}": value for name, value in headers.items()}
    return {
        name: value
        for name, value in written.items()
        if isinstance(value, str) and _REFERENCE.fullmatch(value)
    }


def _with_seconds(written: Mapping[str, Any], path: Path) -> dict[str, Any]:
    limits = written.get("limits")
    if not isinstance(limits, dict):
        return dict(written)
    plain = dict(limits)
    for name in _DURATIONS:
        if isinstance(plain.get(name), str):
            try:
                plain[name] = float(Seconds.of(plain[name]))
            except ValueError as error:
                raise Misread(str(error), (*path, "limits", name)) from None
    return {**written, "limits": plain}


def _refuse_secrets(channel: WebhookChannel, path: Path) -> None:
    if not _REFERENCE.fullmatch(channel.url):
        address = urlsplit(channel.url)
        if (
            address.hostname == "hooks.slack.com"
            or "@" in address.netloc
            or any(_SECRET_NAME.search(name) for name in parse_qs(address.query))
        ):
            raise Misread(f"this address holds a secret; {_REFUSED}", (*path, "url"))
    for name, value in channel.headers.items():
        if _SECRET_NAME.search(name) and not _REFERENCE.fullmatch(value):
            raise Misread(_REFUSED, (*path, "headers", name))
