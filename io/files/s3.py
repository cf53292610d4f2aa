"""Objects of S3, listed and read with one client: Beam makes a new one for every file.

A request is tried once: the user of it decides about the next try.
"""

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from eddyline.io.aws.client import make_client

_WHOSE = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_PROFILE")
BUFFER = 2**20
PAGE = 1_000


class Object(NamedTuple):
    """An object as it is listed.

    Args:
        path: s3://bucket/key.
        changed: µs since the epoch.
        size: In bytes.
    """

    path: str
    changed: int
    size: int


def list_objects(prefix: str) -> Iterator[Object]:
    """The objects whose names begin so.

    Args:
        prefix: s3://bucket/beginning.

    Raises:
        ClientError: Of botocore, as all its errors.
    """
    bucket, key = _parted(prefix)
    pages = _client().get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=key, PaginationConfig={"PageSize": PAGE}):
        for entry in page.get("Contents", []):
            changed = round(entry["LastModified"].timestamp() * 1_000_000)
            yield Object(f"s3://{bucket}/{entry['Key']}", changed, entry["Size"])


def open_object(path: str) -> io.BufferedReader:
    """An object for reading, forward or anywhere.

    Raises:
        ClientError: Of botocore, as all its errors.
    """
    return io.BufferedReader(_Object(*_parted(path)), BUFFER)


class _Object(io.RawIOBase):
    """The bytes of an object: one request for as long as they are read on."""

    def __init__(self, bucket: str, key: str) -> None:
        self._which = {"Bucket": bucket, "Key": key}
        self._at = 0
        answer = _client().get_object(**self._which)
        self._body: Any = answer["Body"]
        self._size: int = answer["ContentLength"]
        # Another object may be put in its place; pieces of two would be neither.
        self._which["IfMatch"] = answer["ETag"]

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there; the next read asks from there."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        at = max(0, start + offset)
        if at != self._at:
            self._let_go()
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """Read on; 0 at the end alone."""
        if self._at >= self._size:
            return 0
        if self._body is None:
            answer = _client().get_object(**self._which, Range=f"bytes={self._at}-")
            self._body = answer["Body"]
        try:
            piece = self._body.read(len(buffer))
        except Exception:
            self._let_go()
            raise
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()


def _parted(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("://")[2].partition("/")
    return bucket, key


def _client() -> Any:
    return _made(tuple(os.environ.get(name, "") for name in (*_WHOSE, "AWS_ACCESS_KEY_ID")))


@lru_cache(4)
def _made(_whose: tuple[str, ...]) -> Any:
    return make_client("s3")
