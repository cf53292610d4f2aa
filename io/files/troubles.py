"""Troubles with files, of whatever store: which of them pass, and all of them in words."""

from collections.abc import Iterator

from apache_beam.io.filesystem import BeamIOError
from botocore.exceptions import ClientError

from eddyline.io.aws.troubles import TROUBLES as AWS_TROUBLES
from eddyline.io.aws.troubles import code_of
from eddyline.io.aws.troubles import in_words as aws_words
from eddyline.io.sources.source import Unreadable

_LIST = {"s3": "s3:ListBucket", "gs": "storage.objects.list"}
_GONE = {"NoSuchBucket", "NoSuchKey", "404"}


def in_words(error: Exception, place: str) -> Unreadable:
    """What the user can do about a file or prefix that cannot be read.

    Args:
        error: Whatever a file system of Beam raised.
        place: The file or prefix.

    Example:
        >>> print(in_words(PermissionError(13, "Permission denied"), "/data/in"))
        /data/in: it cannot be read ([Errno 13] Permission denied).
    """
    for cause in _causes(error):
        if isinstance(cause, AWS_TROUBLES):
            if code_of(cause) in _GONE:
                return missing(place)
            if isinstance(cause, ClientError) and code_of(cause) == "403":  # of a HEAD
                return Unreadable(f"{place}: not allowed. It needs s3:GetObject.")
            return aws_words(cause, place, _LIST["s3"])
    for cause in _causes(error):
        match getattr(cause, "code", None):
            case 404:
                return missing(place)
            case 403:
                action = _LIST.get(place.partition(":")[0], "reading")
                return Unreadable(f"{place}: not allowed. It needs {action}.")
            case _:
                pass
    return Unreadable(f"{place}: it cannot be read ({error}).", passes=_passes(error))


def missing(place: str) -> Unreadable:
    """The folder or bucket is not there."""
    return Unreadable(f"{place}: it does not exist. Create it, or correct its name.")


def _passes(error: Exception) -> bool:
    return not any(isinstance(cause, PermissionError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of."""
    queue, seen = [error], set[int]()
    while queue:
        one = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BeamIOError):
            details = one.exception_details or {}
            queue += [value for value in details.values() if isinstance(value, BaseException)]
        queue += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
