"""One POST to a scoring endpoint, with a deadline and a bound of the answer."""

import re
import time
from collections.abc import Callable, Mapping

import urllib3
from urllib3 import exceptions

from eddyline.io.alerts.post import seconds_of
from eddyline.io.endpoint.failed import ScoringFailed, refusal
from eddyline.io.secret import Secrets, SecretUnavailable

LARGEST = 16 * 2**20
"""Bytes of an answer; 500 scores take 10 kB."""
CONNECT = 5.0
WORDS = 200
_REFERENCE = re.compile(r"\{([a-z-]+:[^{}]+)\}")
Authorize = Callable[[dict[str, str]], None]
"""Adds what proves who we are to the headers, just before they are sent."""


class HttpTransport:
    """POSTs JSON. No redirect is followed: what proves who we are goes to the named host only.

    Args:
        url: Where.
        timeout: Seconds for the whole answer.
        headers: A `{reference}` in a value is read as a secret: `Bearer {env:TOKEN}`.
        authorize: Adds further headers.
        secrets: Where the references are read.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        authorize: Authorize | None = None,
        secrets: Secrets | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._timeout, self._headers = url, timeout, dict(headers or {})
        self._authorize, self._clock = authorize, clock
        self._secrets = Secrets() if secrets is None else secrets
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=16)

    def send(self, body: bytes) -> bytes:
        """Send once; give the answer's body.

        Raises:
            ScoringFailed: With the reason.
        """
        until = self._clock() + self._timeout
        try:
            return self._send(body, until)
        except exceptions.NewConnectionError as error:  # in urllib3 a kind of timeout
            raise ScoringFailed("unreachable", str(error)[:WORDS], again=True) from None
        except exceptions.TimeoutError:
            raise ScoringFailed(
                "timeout", f"no answer within {self._timeout:g} s", again=True
            ) from None
        except (exceptions.HTTPError, OSError) as error:
            words = self._secrets.redact(f"{type(error).__name__}: {error}")[:WORDS]
            raise ScoringFailed("unreachable", words, again=True) from None
        except ValueError as error:  # a secret that no header may hold: its words would tell it
            raise ScoringFailed("unreachable", f"headers: {type(error).__name__}") from None
        except SecretUnavailable as error:
            again = not error.permanent
            raise ScoringFailed("unreachable", str(error)[:WORDS], again=again) from None

    def _send(self, body: bytes, until: float) -> bytes:
        answer = self._pool.request(
            "POST",
            self._url,
            body=body,
            headers=self._with_secrets(),
            timeout=urllib3.Timeout(connect=min(CONNECT, self._timeout), read=self._timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            content = self._read(answer, until)
        except BaseException:
            answer.close()  # what is left of it must not be the next request's answer
            raise
        answer.release_conn()
        if 200 <= answer.status < 300:
            return content
        words = self._secrets.redact(content[: 4 * WORDS].decode("utf-8", "replace"))[:WORDS]
        headers = answer.headers
        wait = seconds_of(headers.get("Retry-After"), headers.get("Date"))
        raise refusal(answer.status, words, wait)

    def _with_secrets(self) -> dict[str, str]:
        headers = {"User-Agent": "eddyline", "Accept": "application/json"}
        headers["Content-Type"] = "application/json"
        for name, value in self._headers.items():
            headers[name] = _REFERENCE.sub(lambda found: self._secrets.read(found[1]), value)
        if self._authorize is not None:
            self._authorize(headers)
        return headers

    def _read(self, answer: urllib3.BaseHTTPResponse, until: float) -> bytes:
        """All of the answer; one that comes in drops has no more time than any other."""
        content = bytearray()
        while part := answer.read1(65_536):
            content += part
            if len(content) > LARGEST:
                raise ScoringFailed("bad_response", f"more than {LARGEST:,} bytes")
            if self._clock() > until:
                raise exceptions.TimeoutError
        return bytes(content)
