"""The logs that a process has open: one for each table, whoever asks.

An open log holds megabytes, and an engine keeps many instances of a step in one process.
"""

import os
from threading import Lock
from weakref import WeakValueDictionary

from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.patience import Patience
from eddyline.io.lake.tables import Table


class _OpenLogs:
    def __init__(self) -> None:
        self._lock = Lock()
        self._logs = WeakValueDictionary[tuple[str, Table, float], DeltaLog]()

    def get(self, lake: str, table: Table, patience: float) -> DeltaLog:
        with self._lock:
            key = (lake, table, patience)
            log = self._logs.get(key)
            if log is None:
                log = self._logs[key] = DeltaLog(lake, table, Patience(patience))
            return log


_open = _OpenLogs()


def _begin_process() -> None:
    global _open  # what a fork was given is open in the process that it came from
    _open = _OpenLogs()


os.register_at_fork(after_in_child=_begin_process)


def open_log(lake: str, table: Table, patience: float) -> DeltaLog:
    """A table's log, shared by all who hold it at the same time; threads take turns.

    It is open as long as somebody holds it, so a lake that is made anew between two runs of one
    process is opened anew.

    Args:
        lake: Where.
        table: Which.
        patience: Seconds for which it outlasts a lake that refuses.

    Raises:
        ValueError: The table on storage has another type for a column.
    """
    return _open.get(lake, table, patience)
