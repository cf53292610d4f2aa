"""The files that a pattern matches."""

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems


def matching_files(pattern: str) -> list[FileMetadata]:
    """The files that match, by name.

    Raises:
        FileNotFoundError: None does; a run over nothing would look like a success.
    """
    found = [file for match in FileSystems.match([pattern]) for file in match.metadata_list]
    if not found:
        raise FileNotFoundError(f"no file matches {pattern!r}")
    return sorted(found, key=lambda file: file.path)
