"""Where the lake lies: a directory, `s3://` or `gs://`, behind one file system interface.

Credentials come from each cloud's default chain (environment, profile, instance role) and are never
a setting of the lake. `AWS_ENDPOINT_URL` names another S3 (MinIO, moto); both clients follow it.
"""

import os
import posixpath
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

S3_SCHEMES = ("s3", "s3a")
GCS_SCHEMES = ("gs", "gcs")


class Location(NamedTuple):
    """A file system and the lake's root in it."""

    filesystem: fs.FileSystem
    root: str

    def join(self, *parts: str) -> str:
        """Give the path of something in the lake, as the file system spells it.

        >>> locate("/data/lake").join("readings", "a.parquet")
        '/data/lake/readings/a.parquet'
        """
        return posixpath.join(self.root, *parts)

    @contextmanager
    def open_new(self, path: str) -> Generator[pa.NativeFile]:
        """Open a path for writing; an object store needs no directory, a disk does.

        A disk keeps what was written until it failed, which on a full one is the room that the next
        attempt needs: the half of a file is deleted. An object store shows no half of an object.
        """
        on_disk = isinstance(self.filesystem, fs.LocalFileSystem)
        if on_disk:
            self.filesystem.create_dir(posixpath.dirname(path), recursive=True)
        sink = self.filesystem.open_output_stream(path)
        try:
            with sink:
                yield sink
        except BaseException:
            if on_disk:
                with suppress(OSError):  # then it is left to vacuum
                    self.filesystem.delete_file(path)
            raise


def locate(lake: str) -> Location:
    """Find the file system of a lake.

    Raises:
        ValueError: The scheme is none of file, s3, gs.

    >>> locate("ftp://host/lake")
    Traceback (most recent call last):
    ValueError: lake: 'ftp' is no place for a lake; a directory, s3:// or gs:// is
    """
    url = urlsplit(lake)
    if url.scheme in ("", "file"):
        path = url.path if url.scheme else lake
        return Location(fs.LocalFileSystem(), Path(path).absolute().as_posix())
    if url.scheme in S3_SCHEMES:
        return Location(_s3(_endpoint()), posixpath.join(url.netloc, url.path.strip("/")))
    if url.scheme in GCS_SCHEMES:
        return Location(_gcs(), posixpath.join(url.netloc, url.path.strip("/")))
    raise ValueError(f"lake: {url.scheme!r} is no place for a lake; a directory, s3:// or gs:// is")


def table_uri(lake: str, name: str) -> str:
    """Give a table's address as Delta spells it.

    >>> table_uri("s3://bucket/lake/", "readings")
    's3://bucket/lake/readings'
    """
    if urlsplit(lake).scheme in ("", "file"):
        return locate(lake).join(name)
    return f"{lake.rstrip('/')}/{name}"


# Delta's own are 10 in 180 s, and silent: an outage is waited for, and told, by `Patience`.
_QUICK = {"max_retries": "3", "retry_timeout": "10s"}


def delta_options(lake: str, *, patient: bool = True) -> dict[str, str]:
    """Give Delta's storage options beyond what it reads from the environment itself.

    On S3 a commit is a conditional put (`If-None-Match: *`), deltalake's default since 0.23, so no
    lock table is needed; `AWS_S3_LOCKING_PROVIDER=dynamodb` in the environment still turns one on
    for a lake that Spark's DynamoDB log store writes too.

    Args:
        lake: Where.
        patient: Whether a request that fails is repeated for minutes, without a word.
    """
    options = {} if patient or urlsplit(lake).scheme in ("", "file") else dict(_QUICK)
    if urlsplit(lake).scheme in S3_SCHEMES and _endpoint().startswith("http://"):
        options |= {"AWS_ENDPOINT_URL": _endpoint(), "AWS_ALLOW_HTTP": "true"}
    return options


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


@cache
def _s3(endpoint: str) -> fs.S3FileSystem:
    # Arrow reads AWS_DEFAULT_REGION only, Delta and boto3 read AWS_REGION too.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(region=region, endpoint_override=endpoint or None)


@cache
def _gcs() -> fs.GcsFileSystem:
    return fs.GcsFileSystem()
