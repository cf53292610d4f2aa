"""Whether the source is there and may be read."""

from apache_beam.io.filesystems import FileSystems

from eddyline.io.files import matching_files
from eddyline.io.sources.source import Unreadable
from eddyline.io.sources.table import source_of
from eddyline.pipeline.doctor.check import Ill

READING = {
    "s3": "s3:ListBucket on the bucket and s3:GetObject on its objects",
    "gs": "storage.objects.list and storage.objects.get on the bucket",
}


def look_at_source(source: str) -> str:
    """Read as little of the source as tells that it can be read; nothing is taken from it."""
    try:
        stream = source_of(source)
        if stream is not None:
            stream.check()
            return "there, and may be read"
    except Unreadable as error:
        remedy = "It may pass by itself: look again." if error.passes else ""
        raise Ill(str(error), remedy) from error
    return _files(source)


def _files(pattern: str) -> str:
    scheme = pattern.partition("://")[0] if "://" in pattern else ""
    try:
        files = matching_files(pattern)
        with FileSystems.open(files[0].path) as first:
            first.read(1)
    except FileNotFoundError as error:
        raise Ill(str(error), "Mind the quotes: the shell expands a bare glob.") from error
    except Exception as error:
        raise Ill(f"{pattern}: {error}", _permission(scheme)) from error
    size = sum(file.size_in_bytes for file in files)
    return f"{len(files):,} files, {size:,} bytes"


def _permission(scheme: str) -> str:
    return f"Reading needs {READING[scheme]}." if scheme in READING else "Can this user read it?"
