"""What an endpoint is told by: its kind and place, and how it may be asked."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from eddyline.io.endpoint.ask import Asking, Transport
from eddyline.io.endpoint.body import Also, Form
from eddyline.io.endpoint.http import HttpTransport
from eddyline.io.endpoint.sagemaker import SageMakerTransport
from eddyline.io.endpoint.vertex import vertex_transport, vertex_url

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SECRET_HEADER = re.compile(r"(?i)authorization|key|token|secret|cookie")


class _Endpoint(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """How an endpoint may be asked.

    Args:
        max_rows: Most readings in a request.
        timeout: Seconds for one request.
        tries: Of a request that may pass.
        patience: Seconds for a request with all its tries.
        rate: Requests a second of one worker process.
        rest: Seconds for which an endpoint that failed in all tries is left alone; 0 for never.
        instances: How the channels are sent: by name, or as a list under `features`.
        also: Further columns of a reading that are sent, such as `device_id`.
    """

    max_rows: Annotated[int, Meta(ge=1, le=100_000)] = 500
    timeout: Annotated[float, Meta(gt=0, le=900)] = 10.0
    tries: Annotated[int, Meta(ge=1, le=100)] = 4
    patience: Annotated[float, Meta(ge=0)] = 60.0
    rate: Annotated[float, Meta(gt=0)] = 100.0
    rest: Annotated[float, Meta(ge=0)] = 15.0
    instances: Form = "named"
    also: tuple[Also, ...] = ()

    def connect(self, channels: Sequence[str]) -> Asking:
        """Connect, on a worker; nothing is sent yet."""
        return Asking(self.transport(), channels, self)

    def transport(self) -> Transport:
        """What sends the requests."""
        raise NotImplementedError


class HttpEndpoint(_Endpoint, frozen=True, kw_only=True, tag="http"):
    """An endpoint that takes JSON by POST.

    Args:
        url: https://, or http:// on this machine; `insecure` allows http:// anywhere.
        headers: Sent with each request; secrets by reference: `Bearer {env:TOKEN}`.
        insecure: The network in between is trusted.
    """

    url: str
    headers: dict[str, str] = {}
    insecure: bool = False

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"url: {self.url!r} is no https:// address")
        if url.username or url.password:
            raise ValueError("url: a password does not belong there; name a secret in headers")
        if url.scheme == "http" and url.hostname not in LOOPBACK and not self.insecure:
            raise ValueError(f"url: {self.url!r} is not encrypted; insecure: true allows it")
        for name, value in self.headers.items():
            if _SECRET_HEADER.search(name) and "{" not in value:
                raise ValueError(
                    f"headers: {name}: name the secret in place of writing it here, "
                    "such as `Bearer {env:TOKEN}`"
                )

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self))

    def transport(self) -> Transport:
        """What sends the requests."""
        return HttpTransport(self.url, self.timeout, self.headers)


class SageMakerEndpoint(_Endpoint, frozen=True, kw_only=True, tag="sagemaker"):
    """An endpoint of Amazon SageMaker; see `SageMakerTransport`."""

    endpoint: Annotated[str, Meta(min_length=1)]
    region: str = ""
    variant: str = ""

    def transport(self) -> Transport:
        """What sends the requests."""
        return SageMakerTransport(self.endpoint, self.timeout, self.region, self.variant)


class VertexEndpoint(_Endpoint, frozen=True, kw_only=True, tag="vertex"):
    """An endpoint of Vertex AI; see `vertex_url`."""

    project: Annotated[str, Meta(min_length=1)]
    location: Annotated[str, Meta(min_length=1)]
    endpoint: Annotated[str, Meta(min_length=1)]
    base: str = ""

    def transport(self) -> Transport:
        """What sends the requests."""
        url = vertex_url(self.project, self.location, self.endpoint, self.base)
        return vertex_transport(url, self.timeout)


Endpoint = HttpEndpoint | SageMakerEndpoint | VertexEndpoint


def endpoint_of(given: Mapping[str, Any]) -> Endpoint:
    """The endpoint that settings tell.

    Raises:
        ValueError: Something is missing, unknown or out of its range; the message begins with
            `endpoint`.

    Example:
        >>> endpoint_of({"kind": "sagemaker", "endpoint": "rooms", "max_rows": 100}).max_rows
        100
        >>> endpoint_of({"kind": "http", "url": "http://scoring.example/v1"})
        Traceback (most recent call last):
        ValueError: endpoint: url: 'http://scoring.example/v1' is not encrypted; ...
    """
    try:
        return msgspec.convert(dict(given), Endpoint, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"endpoint: {error}") from error
