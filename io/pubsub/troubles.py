"""Pub/Sub's errors: which of them pass by themselves, and the others in words."""

from google.api_core.exceptions import (
    Aborted,
    Cancelled,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    RetryError,
    ServerError,
    TooManyRequests,
    Unauthenticated,
)
from google.auth.exceptions import (
    DefaultCredentialsError,
    GoogleAuthError,
    RefreshError,
    TransportError,
)

from eddyline.io.sources.source import Unreadable

TROUBLES = (GoogleAPICallError, RetryError, GoogleAuthError)
CONSUME = "pubsub.subscriptions.consume"


def passes(error: Exception) -> bool:
    """Whether the same request may succeed later: throttled, no connection, the service's fault.

    Example:
        >>> passes(TooManyRequests("slower")), passes(Forbidden("no"))
        (True, False)
    """
    if isinstance(error, GoogleAuthError):
        return isinstance(error, TransportError)
    return isinstance(error, (Aborted, Cancelled, RetryError, ServerError, TooManyRequests))


def in_words(error: Exception, name: str) -> Unreadable:
    """What the user can do about it.

    Example:
        >>> print(in_words(Forbidden("no"), "pubsub:telemetry"))
        pubsub:telemetry: not allowed. The service account needs pubsub.subscriptions.consume.
    """
    return Unreadable(f"{name}: {_words(error)}", passes=passes(error))


def denied(name: str) -> Unreadable:
    """The permission is missing, says the service."""
    return in_words(Forbidden(CONSUME), name)


def _words(error: Exception) -> str:
    if isinstance(error, NotFound):
        return "it does not exist. Create it, or correct its name (projects/P/subscriptions/S)."
    if isinstance(error, Forbidden):
        return f"not allowed. The service account needs {CONSUME}."
    if isinstance(error, DefaultCredentialsError):
        return (
            "no Google credentials. Run `gcloud auth application-default login`, or run under a "
            f"service account that has {CONSUME}."
        )
    if isinstance(error, (RefreshError, Unauthenticated)):
        return f"Google refuses the credentials ({error}). Renew them; check the machine's clock."
    if passes(error):
        return f"the service cannot be reached ({error}). Check the network."
    return f"it cannot be read: {error}"
