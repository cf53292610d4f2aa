"""Whether the lake can be written."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from pyarrow import fs

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES
from eddyline.io.lake.storage import GCS_SCHEMES, S3_SCHEMES, Location, locate
from eddyline.pipeline.doctor.check import Ill

T = TypeVar("T")

PROBE = ".eddyline-doctor"
CONTENT = b"eddyline doctor looks whether it can write here\n"

_PERMISSIONS = {
    "list": ("s3:ListBucket", "storage.objects.list"),
    "write": ("s3:PutObject", "storage.objects.create"),
    "read": ("s3:GetObject", "storage.objects.get"),
    "delete": ("s3:DeleteObject", "storage.objects.delete"),
}


def look_at_lake(lake: str) -> str:
    """Write a probe, read it, delete it; nothing stays behind, nor a folder that was not there."""
    place, scheme = locate(lake), urlsplit(lake).scheme

    def attempt(verb: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            raise Ill(f"cannot {verb} in {lake}: {error}", _remedy(scheme, verb)) from error

    was_there = attempt("list", lambda: _is_there(place))
    probe = place.join(PROBE)
    attempt("write", lambda: _write(place, probe))
    content = attempt("read", lambda: _read(place, probe))
    attempt("delete", lambda: _delete(place, probe))
    if not was_there and isinstance(place.filesystem, fs.LocalFileSystem):
        place.filesystem.delete_dir(place.root)
    if content != CONTENT:
        raise Ill(f"{lake} gave back other bytes than were written", "This is no place for a lake.")
    return "writable" if was_there else "writable; it will be new"


def _is_there(place: Location) -> bool:
    found = place.filesystem.get_file_info(place.root)
    return found.type != fs.FileType.NotFound


def _write(place: Location, probe: str) -> None:
    with place.open_new(probe) as file:
        file.write(CONTENT)


def _read(place: Location, probe: str) -> bytes:
    with place.filesystem.open_input_stream(probe) as file:
        return bytes(file.read())


def _delete(place: Location, probe: str) -> None:
    if not isinstance(place.filesystem, fs.S3FileSystem):
        place.filesystem.delete_file(probe)
        return
    # Arrow would leave an empty object in the folder's place.
    bucket, _, key = probe.partition("/")
    try:
        make_client("s3").delete_object(Bucket=bucket, Key=key)
    except TROUBLES as error:
        raise OSError(str(error)) from error


def _remedy(scheme: str, verb: str) -> str:
    if scheme in S3_SCHEMES:
        return f"Does the bucket exist? This needs {_PERMISSIONS[verb][0]} there."
    if scheme in GCS_SCHEMES:
        return f"Does the bucket exist? This needs {_PERMISSIONS[verb][1]} there."
    return "Give this user the right to write there, or name another --lake."
