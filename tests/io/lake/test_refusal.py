"""The words of pyarrow 25 and deltalake 1.6, as each gave them for an answer of S3 or a disk."""

import errno
import os

import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from eddyline.io.lake.refusal import ADVICE, refusal_of


def arrow(words):
    return OSError(
        "When initiating multiple part upload for key 'deep/readings/part-1.parquet' in bucket "
        f"'b': AWS Error {words}"
    )


def delta(answer):
    return OSError(
        "Kernel error -> Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET "
        "http://127.0.0.1:1/b?list-type=2 in 2.06s, after 10 retries, max_retries\n   "
        f"\x1b[31m↳\x1b[0m 10, retry_timeout\n    \x1b[31m↳\x1b[0m 180s  - {answer}"
    )


def status(line, code):
    return (
        f"Server returned non-2xx status code\n \x1b[31m↳\x1b[0m {line}\n  \x1b[31m↳\x1b[0m "
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>words</Message></Error>"
    )


def local(words):
    return OSError(f"Generic LocalFileSystem error\n  ↳ Unable to copy data to file\n  ↳ {words}")


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (OSError(errno.ENOSPC, "[errno 28] No space left on device"), "full", "No space left"),
        (OSError(errno.EDQUOT, "quota"), "full", os.strerror(errno.EDQUOT)),
        (OSError(errno.EROFS, "Failed to open local file"), "denied", "Read-only file system"),
        (PermissionError(errno.EACCES, "Permission denied"), "denied", "Permission denied"),
        (OSError(errno.ESTALE, "Stale file handle"), "away", "Stale file handle"),
        (local("No space left on device (os error 28)"), "full", "No space left on device"),
        (local("Read-only file system (os error 30)"), "denied", "Read-only file system"),
        (
            # a checkpoint of the log, after the commit it belongs to
            DeltaError(
                "Kernel error: Arrow error: External: Generic LocalFileSystem error: Unable to "
                "copy data to file: No space left on device (os error 28)"
            ),
            "full",
            "No space left on device",
        ),
        (arrow("ACCESS_DENIED during CreateMultipartUpload operation: x"), "denied", "ACCESS_"),
        (arrow("SLOW_DOWN during UploadPart operation: x"), "away", "SLOW_DOWN"),
        (arrow("INTERNAL_FAILURE during UploadPart operation: x"), "away", "INTERNAL_FAILURE"),
        (
            arrow("NETWORK_CONNECTION during UploadPart operation: curlCode: 28, Timeout was"),
            "away",
            "NETWORK_CONNECTION",
        ),
        (
            arrow(
                "UNKNOWN (HTTP status 400) during UploadPart operation: Unable to parse "
                "ExceptionName: ExpiredToken Message: words"
            ),
            "denied",
            "ExpiredToken",
        ),
        (
            arrow(
                "UNKNOWN (HTTP status 429) during UploadPart operation: Unable to parse "
                "ExceptionName: TooManyRequests Message: words"
            ),
            "away",
            "HTTP 429",
        ),
        (OSError("google::cloud::Status(UNAVAILABLE: Permanent error)"), "away", "UNAVAILABLE"),
        (OSError("google::cloud::Status(PERMISSION_DENIED: x)"), "denied", "PERMISSION_DENIED"),
        (delta(status("403 Forbidden", "AccessDenied")), "denied", "AccessDenied"),
        (delta(status("403 Forbidden", "SomethingNew")), "denied", "HTTP 403"),
        (delta(status("503 Service Unavailable", "SlowDown")), "away", "SlowDown"),
        (delta(status("502 Bad Gateway", "x")), "away", "HTTP 502"),
        (delta("HTTP error\n ↳ error sending request\n ↳ client error (SendRequest)"), "away", ""),
    ],
)
def test_what_may_pass_is_known_by_its_words(error, cause, words):
    refusal = refusal_of(error)
    assert refusal is not None
    assert refusal.cause == cause
    assert words in refusal.words
    assert ADVICE[refusal.cause]


@pytest.mark.parametrize(
    "error",
    [
        arrow("NO_SUCH_BUCKET during CreateMultipartUpload operation: words"),
        arrow(
            "UNKNOWN (HTTP status 301) during UploadPart operation: Unable to parse "
            "ExceptionName: PermanentRedirect Message: words"
        ),
        delta(status("404 Not Found", "NoSuchBucket")),
        delta("Received redirect without LOCATION, this normally indicates an incorrect region"),
        FileNotFoundError("gathered and not committed, yet gone"),
        FileNotFoundError(errno.ENOENT, "gone"),
        OSError(errno.ENAMETOOLONG, "File name too long"),
        OSError("something that nobody has seen"),
        CommitFailedError("Transaction failed: version 3 is there already"),
        DeltaError("Invalid table location"),
        ValueError("AWS Error ACCESS_DENIED during a test"),
    ],
)
def test_what_does_not_pass_is_not_waited_for(error):
    assert refusal_of(error) is None
