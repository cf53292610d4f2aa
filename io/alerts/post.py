"""One HTTP POST without a retry of its own, and what its outcome means."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import urllib3
from urllib3 import exceptions

from eddyline.schemas.alert import Failed

# A peer's own words help, a page of HTML does not.
WORDS = 200
AGENT = {"User-Agent": "eddyline", "Accept": "application/json, text/plain"}


def post(
    pool: urllib3.PoolManager, url: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> str:
    """POST and give the status code; any 2xx is delivered. No redirect is followed.

    Raises:
        Failed: By `refusal`; of a connection or timeout it is not permanent.
    """
    try:
        answer = pool.request(
            "POST",
            url,
            body=body,
            headers={**AGENT, **headers},
            timeout=urllib3.Timeout(total=timeout),
            retries=False,
            redirect=False,
        )
    except (exceptions.HTTPError, OSError) as error:
        # urllib3 counts a refused connection among the timeouts.
        refused = isinstance(error, exceptions.NewConnectionError)
        late = isinstance(error, exceptions.TimeoutError) and not refused
        name = "timeout" if late else type(error).__name__
        raise Failed(f"no answer: {name}", status=name) from None
    if 200 <= answer.status < 300:
        return str(answer.status)
    words = answer.data[: WORDS * 4].decode("utf-8", "replace")[:WORDS]
    raise refusal(
        answer.status, words, answer.headers.get("Retry-After"), answer.headers.get("Date")
    )


def refusal(
    status: int, words: str, retry_after: str | None = None, date: str | None = None
) -> Failed:
    """What an HTTP status other than 2xx means.

    408, 425, 429 and 5xx can be tried again; every other one is permanent (RFC 9110, RFC 6585).

    Example:
        >>> refusal(429, "slow down", "7").retry_after, refusal(400, "no").permanent
        (7.0, True)
    """
    permanent = not (status in (408, 425, 429) or 500 <= status < 600)
    return Failed(
        f"{status}: {words}".strip(),
        status=str(status),
        permanent=permanent,
        retry_after=seconds_of(retry_after, date),
    )


def seconds_of(retry_after: str | None, date: str | None = None) -> float | None:
    """Seconds of a `Retry-After` header: a number, or a date against the answer's own `Date`.

    Against the peer's date, because its clock may not be ours.

    Example:
        >>> seconds_of("120"), seconds_of("soon"), seconds_of(None)
        (120.0, None, None)
        >>> seconds_of("Fri, 02 Jan 2026 00:01:00 GMT", "Fri, 02 Jan 2026 00:00:30 GMT")
        30.0
    """
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    moments = [_moment(retry_after), _moment(date)]
    if moments[0] is None or moments[1] is None:
        return None
    return max((moments[0] - moments[1]).total_seconds(), 0.0)


def _moment(header: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
