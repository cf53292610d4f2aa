"""Cores: the worker is bound to one; engine, stream and this program run where they like.

They are not bound to the others: Prism on one core alone spends it in a loop around its timers.
"""

import os
from collections.abc import Iterable
from pathlib import Path


def worker_core(usable: Iterable[int]) -> frozenset[int]:
    """The last of those that this process may use.

    Example:
        >>> worker_core({0, 1})
        frozenset({1})
    """
    return frozenset({max(usable)})


def bind(pid: int, to: Iterable[int]) -> None:
    """Bind a process with all its threads; what it starts from then on is bound as well."""
    chosen = set(to)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), chosen)
        except ProcessLookupError:  # it has ended meanwhile
            continue
