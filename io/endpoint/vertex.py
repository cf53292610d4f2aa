"""Vertex AI: `predict` by its REST form, with the worker's own Google credentials."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import google.auth
import urllib3
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.urllib3 import Request

from eddyline.io.endpoint.failed import ScoringFailed
from eddyline.io.endpoint.http import HttpTransport

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def vertex_url(project: str, location: str, endpoint: str, base: str = "") -> str:
    """Where an endpoint's `predict` is.

    Args:
        project: Id or number.
        location: Region.
        endpoint: Id.
        base: Of a private or dedicated endpoint; empty for the region's public one.

    Example:
        >>> vertex_url("farm", "europe-west6", "42")
        'https://europe-west6-aiplatform.googleapis.com/v1/projects/farm/locations/europe-west6/endpoints/42:predict'
    """
    base = base.rstrip("/") or f"https://{location}-aiplatform.googleapis.com"
    return f"{base}/v1/projects/{project}/locations/{location}/endpoints/{endpoint}:predict"


def vertex_transport(
    url: str,
    timeout: float,
    credentials: Any = None,
    clock: Callable[[], float] = time.monotonic,
) -> HttpTransport:
    """What sends to an endpoint.

    Beam's own handler is not used: it asks for the endpoint's models while the job is being built,
    and knows neither a deadline nor `Retry-After`.

    Args:
        url: Of `vertex_url`.
        timeout: Seconds for the whole answer.
        credentials: Of google.auth; None for its default chain, looked for at the first request.
        clock: Seconds that only grow.
    """
    authorize = GoogleCredentials(credentials, url)
    return HttpTransport(url, timeout, authorize=authorize, clock=clock)


class GoogleCredentials:
    """Adds an access token to the headers, renewed where it has run out."""

    def __init__(self, credentials: Any, url: str) -> None:
        self._credentials, self._url = credentials, url
        self._lock = Lock()
        self._request = Request(urllib3.PoolManager(num_pools=1))

    def __call__(self, headers: dict[str, str]) -> None:
        """Add the header.

        Raises:
            ScoringFailed: There are no credentials, or no token for them.
        """
        try:
            with self._lock:
                if self._credentials is None:
                    self._credentials, _ = google.auth.default(scopes=SCOPES)
                self._credentials.before_request(self._request, "POST", self._url, headers)
        except GoogleAuthError as error:
            again = isinstance(error, TransportError)
            raise ScoringFailed("unreachable", str(error)[:200], again=again) from None
