"""The bytes of a model file: local, `s3://` or `gs://`."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow import fs

LARGEST = 256 * 2**20


def read_model(path: str) -> bytes:
    """Return a file's content.

    Credentials come from each cloud's default chain; `AWS_ENDPOINT_URL` names another S3.

    Raises:
        ValueError: The path is of no known kind, or the file larger than any model is.
        OSError: It cannot be read.

    Examples:
        >>> read_model("ftp://host/model.onnx")
        Traceback (most recent call last):
            ...
        ValueError: 'ftp' is no place for a model; a path, s3:// or gs:// is
    """
    url = urlsplit(path)
    key = f"{url.netloc}{url.path}"
    if url.scheme in ("", "file") or Path(path).drive:
        files, key = fs.LocalFileSystem(), url.path if url.scheme == "file" else path
    elif url.scheme == "s3":
        files = _s3()
    elif url.scheme == "gs":
        files = fs.GcsFileSystem()
    else:
        raise ValueError(f"{url.scheme!r} is no place for a model; a path, s3:// or gs:// is")
    with files.open_input_file(key) as file:
        if file.size() > LARGEST:
            raise ValueError(f"{file.size():,} bytes, and no model has more than {LARGEST:,}")
        return file.read()


def _s3() -> fs.S3FileSystem:
    # Arrow reads AWS_DEFAULT_REGION only.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return fs.S3FileSystem(region=region, endpoint_override=endpoint)
