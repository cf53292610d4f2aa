"""What a store's error means for the write that met it: wait, or give up.

pyarrow and delta-rs both raise a plain `OSError` for whatever a store answers; which answer it was
stands in its words alone. The forms here were taken from both, for each answer (see the tests).
"""

import errno
import os
import re
from typing import Literal, NamedTuple

from deltalake.exceptions import DeltaError

TROUBLES = (OSError, DeltaError)
"""What a write to the lake may raise for the store's sake."""

Cause = Literal["full", "denied", "away"]

ADVICE: dict[Cause, str] = {
    "full": "Make room on the disk, or move the lake to a larger one.",
    "denied": (
        "Renew the credentials, or give back the role's permissions: on S3 s3:GetObject, "
        "s3:PutObject, s3:DeleteObject and s3:ListBucket, on Google storage.objectUser; on a disk "
        "the right to write there."
    ),
    "away": "Check the network, and whether the store is there.",
}


class Refusal(NamedTuple):
    """A refusal that may pass.

    Args:
        cause: Of what kind.
        words: The store's own, such as `AccessDenied`; short and the same each time.
    """

    cause: Cause
    words: str


_ERRNO: dict[int, Cause] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "full"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "denied"),
    **dict.fromkeys(
        (
            errno.EAGAIN,
            errno.ECONNABORTED,
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.EHOSTDOWN,
            errno.EHOSTUNREACH,
            errno.EINTR,
            errno.EIO,
            errno.EMFILE,
            errno.ENETDOWN,
            errno.ENETUNREACH,
            errno.ENFILE,
            errno.EPIPE,
            errno.ESTALE,
            errno.ETIMEDOUT,
        ),
        "away",
    ),
}

# Names that services give their answers, without `_` and in lower case: Arrow spells S3's own anew.
_NAMES: dict[str, Cause] = {
    **dict.fromkeys(
        (
            "accessdenied",
            "expiredtoken",
            "invalidaccesskeyid",
            "invalidclienttokenid",
            "invalidsignature",
            "invalidtoken",
            "missingauthenticationtoken",
            "permissiondenied",
            "requestexpired",
            "requesttimetooskewed",
            "signaturedoesnotmatch",
            "tokenrefreshrequired",
            "unauthenticated",
            "unrecognizedclient",
        ),
        "denied",
    ),
    **dict.fromkeys(
        (
            "aborted",
            "deadlineexceeded",
            "internal",
            "internalerror",
            "internalfailure",
            "networkconnection",
            "requesttimeout",
            "resourceexhausted",
            "serviceunavailable",
            "slowdown",
            "throttling",
            "unavailable",
        ),
        "away",
    ),
}
_STATUS: dict[str, Cause] = {
    **dict.fromkeys(("401", "403"), "denied"),
    **dict.fromkeys(("408", "425", "429"), "away"),
}

_PAINT = re.compile(r"\x1b\[[0-9;]*m|↳")  # delta-rs draws its causes as a tree, in colour
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_NAME = re.compile(
    r"<Code>(\w+)</Code>"  # S3 through delta-rs
    r"|Unable to parse ExceptionName: (\w+)"  # S3 through Arrow, a name that it does not know
    r"|AWS Error (\w+) during"  # and one that it knows
    r"|google::cloud::Status\((\w+):"  # Google through Arrow
)
_STATUS_LINE = re.compile(r"status code\W+(\d{3}) |HTTP status (\d{3})\)")
_TRANSPORT = re.compile(
    r"error sending request|HTTP error|operation timed out|connection (?:closed|reset|refused)"
    r"|dns error|failed to (?:load|get) credentials|error getting credentials",
    re.IGNORECASE,
)


def refusal_of(error: Exception) -> Refusal | None:
    """Whether the same write may be taken later; None where waiting does not mend it.

    A store that is full, denies or is away may be back: a policy is corrected, credentials are
    renewed, a disk gets room. A bucket that is not there, another region and whatever is not known
    do not pass.

    Example:
        >>> refusal_of(OSError(errno.ENOSPC, "No space left on device"))
        Refusal(cause='full', words='No space left on device')
        >>> refusal_of(OSError("AWS Error ACCESS_DENIED during UploadPart operation: words"))
        Refusal(cause='denied', words='ACCESS_DENIED')
        >>> refusal_of(OSError("AWS Error NO_SUCH_BUCKET during UploadPart operation: words"))
        >>> refusal_of(FileNotFoundError("gone"))
    """
    if not isinstance(error, TROUBLES) or isinstance(error, FileNotFoundError):
        return None
    text = words_of(error)
    if number := _errno(error, text):
        cause = _ERRNO.get(number)
        return Refusal(cause, os.strerror(number)) if cause else None
    if named := _NAME.search(text):
        name = next(group for group in named.groups() if group)
        if cause := _NAMES.get(name.replace("_", "").lower().removesuffix("exception")):
            return Refusal(cause, name)
    if answered := _STATUS_LINE.search(text):
        status = answered[1] or answered[2]
        cause = "away" if status.startswith("5") else _STATUS.get(status)
        return Refusal(cause, f"HTTP {status}") if cause else None
    if away := _TRANSPORT.search(text):
        return Refusal("away", away[0].lower())
    return None


def words_of(error: Exception) -> str:
    r"""An error's words in one line.

    Example:
        >>> words_of(OSError("Generic S3 error\n  \x1b[31m↳\x1b[0m 403 Forbidden\n"))
        'Generic S3 error 403 Forbidden'
    """
    return " ".join(_PAINT.sub("", str(error)).split())


def _errno(error: Exception, text: str) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _OS_ERROR.search(text)
    return int(found[1]) if found else None
