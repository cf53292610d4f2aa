"""What an error of a Google service means for the request that met it."""

from collections.abc import Mapping, Sequence
from typing import Any

import requests
from google.api_core.exceptions import (
    Aborted,
    BadRequest,
    Cancelled,
    Forbidden,
    GoogleAPICallError,
    ServerError,
    TooManyRequests,
)
from google.auth.exceptions import TransportError

BUSY = frozenset({"rateLimitExceeded", "quotaExceeded", "backendError", "internalError", "timeout"})
_AWAY = (
    ConnectionError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    TransportError,
)
ANSWERS = (GoogleAPICallError, *_AWAY)
"""What a call may raise and the functions here understand."""


def may_pass(error: Exception) -> bool:
    """Whether the same request may be taken later: the service is busy or away.

    Example:
        >>> from google.api_core.exceptions import NotFound, ServiceUnavailable
        >>> may_pass(ServiceUnavailable("503")), may_pass(NotFound("no table"))
        (True, False)
    """
    if isinstance(error, (*_AWAY, ServerError, TooManyRequests, Aborted, Cancelled)):
        return True
    return isinstance(error, Forbidden) and bool(reasons(error) & BUSY)


def is_rows_fault(error: Exception) -> bool:
    """Whether what the request carries is at fault: too large, or malformed."""
    return is_too_large(error) or isinstance(error, BadRequest)


def is_too_large(error: Exception) -> bool:
    """Whether the request was larger than the service takes."""
    return isinstance(error, GoogleAPICallError) and error.code == 413


def reasons(error: GoogleAPICallError) -> set[str]:
    """The service's own codes."""
    errors: Sequence[Any] = error.errors or ()
    return {str(one.get("reason")) for one in errors if isinstance(one, Mapping)}
