"""What a run needs to know of an engine."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


class Unavailable(Exception):
    """The engine cannot be had here; the words say why."""


class Failed(Exception):
    """A run did not come to its end; the words say what is known of it."""


@dataclass(frozen=True)
class Running:
    """An engine that runs and takes one job.

    Args:
        flags: Beam's, for the job.
        pids: Of the engine's own processes.
        workers: Gives the pids of the Python workers, given that of the process that has the job.
        stop: Ends the job, where it does not end with its source.
    """

    flags: list[str]
    pids: list[int]
    workers: Callable[[int], list[int]]
    stop: Callable[[], None]


@dataclass(frozen=True)
class Engine:
    """An engine.

    Args:
        name: For the table.
        says: What it is, in a line under the table.
        start: Starts what a job needs; ends it as the block ends.
    """

    name: str
    says: str
    start: Callable[[], AbstractContextManager[Running]]
