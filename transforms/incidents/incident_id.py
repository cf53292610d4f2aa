"""Ids of incidents: the same on replay, on every engine, for ever."""

from xxhash import xxh3_128_hexdigest


def incident_id(subject: str, kind: str, opened_at: int) -> str:
    r"""The id of a trouble: a hash of what it is of, its kind and when it was opened.

    Args:
        subject: The device's id.
        kind: Kind of incident.
        opened_at: Event time, microseconds.

    Example:
        >>> incident_id("boiler-7", "silent", 1_767_312_000_000_000)
        'ae6b2b07a79e5ef4e0b377077db859fa'
    """
    return xxh3_128_hexdigest(f"{subject}\0{kind}\0{opened_at}".encode())
