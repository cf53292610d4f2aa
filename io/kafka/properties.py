"""A file of properties, as Kafka's own tools read them."""

from pathlib import Path

from eddyline.io.sources.source import Unreadable


def read_properties(path: str) -> dict[str, str]:
    """The properties of a file of `name=value` lines; lines that begin with # are no properties.

    Raises:
        Unreadable: The file cannot be read, or a line is no property.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    properties: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:  # the line is not told: it may be a password
            raise Unreadable(f"{path}, line {number}: name=value expected")
        properties[name.strip()] = value.strip()
    return properties
