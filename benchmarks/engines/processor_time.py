"""Processor time and memory of processes that run beside this one, from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path


def processor_seconds(pids: Iterable[int], proc: Path = Path("/proc")) -> float:
    """User and system time of processes so far, with that of their children that have ended.

    A process that has ended counts as nothing: read it while it lives.

    Example:
        >>> processor_seconds([os.getpid()]) > 0
        True
    """
    return sum(_ticks(proc / str(pid) / "stat") for pid in pids) / os.sysconf("SC_CLK_TCK")


def _ticks(stat: Path) -> int:
    try:
        text = stat.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The name before the last bracket may hold blanks and brackets itself.
    fields = text.rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def peak_megabytes(pid: int, proc: Path = Path("/proc")) -> float:
    """The most memory that a process had at a time; 0 for one that has ended.

    Example:
        >>> peak_megabytes(os.getpid()) > 1
        True
    """
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    _, found, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) / 1024 if found else 0.0
