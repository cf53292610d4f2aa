"""Permissions on a Google Cloud resource, by their names."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.api_core.exceptions import (
    Forbidden,
    GoogleAPICallError,
    MethodNotImplemented,
    NotFound,
    RetryError,
)
from google.auth.exceptions import DefaultCredentialsError

from eddyline.pipeline.doctor.check import Ill


def granted(
    ask: Callable[[], Iterable[str]],
    get: Callable[[], Any],
    wanted: Sequence[str],
    resource: str,
) -> str:
    """Whether the resource is there and all of the wanted permissions on it are ours.

    Args:
        ask: Gives those of the wanted permissions that we have.
        get: Describes the resource; the last of the wanted permissions is for it.
        wanted: Permissions by their IAM names.
        resource: For words.

    Returns:
        A word to add where the permissions could not be asked for: emulators know none.

    Raises:
        Ill: The resource is not there, or permissions are missing.
    """
    try:
        has = set(ask())
    except MethodNotImplemented:
        has, note = set(wanted), "; this service tells no permissions"
    except NotFound as error:
        raise Ill(f"{resource} is not there", "Create it, or mend its name.") from error
    except (DefaultCredentialsError, GoogleAPICallError, RetryError) as error:
        raise ill(error, resource) from error
    else:
        note = ", and we may use it"
    if missing := [name for name in wanted if name not in has]:
        raise Ill(f"{resource}: permission missing: {', '.join(missing)}", remedy(missing))
    try:
        get()
    except NotFound as error:
        raise Ill(f"{resource} is not there", "Create it, or mend its name.") from error
    except Forbidden as error:
        raise Ill(f"{resource}: permission missing: {wanted[-1]}", remedy(wanted[-1:])) from error
    except (GoogleAPICallError, RetryError) as error:
        raise ill(error, resource) from error
    return note


def remedy(missing: Sequence[str]) -> str:
    """Who must give what."""
    return f"Grant the job's service account a role with {', '.join(missing)}."


def ill(error: Exception, resource: str) -> Ill:
    """Any other error as a finding."""
    if isinstance(error, DefaultCredentialsError):
        return Ill(
            "no Google credentials",
            "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS.",
        )
    return Ill(f"{resource}: {error}")
