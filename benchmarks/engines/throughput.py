"""Readings a second: how fast a backlog is worked off, and for how much processor time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engines.engine import Engine
from benchmarks.engines.run import Run, Shape, running
from benchmarks.engines.stream_server import Serving
from benchmarks.engines.workload import ON_ITS_WAY, Workload

SETTLE = 3.0  # s
WAITING = 4  # readings a device that the order may hold back

FULL = Shape("full job")
NO_RAW = Shape("full job, no raw zone", settings={"raw": False})
MAP_ONLY = Shape("map only", map_only=True)


@dataclass(frozen=True)
class Measured:
    """What a run took for its backlog, without the warm-up before.

    Args:
        readings: Of the backlog.
        seconds: From its release to the commit that shows the last of it.
        worker: Processor seconds of the Python worker.
        engine: Those of the engine.
        stream: Those of the stream's server.
        megabytes: Peak memory of the worker, and of the engine.
    """

    readings: int
    seconds: float
    worker: float
    engine: float
    stream: float
    megabytes: tuple[float, float]

    @property
    def a_core(self) -> float:
        """Readings for each processor second of the Python worker."""
        return self.readings / self.worker

    @property
    def by_the_clock(self) -> float:
        """Readings for each second that passed."""
        return self.readings / self.seconds


def measure(
    engine: Engine,
    shape: Shape,
    workload: Workload,
    warm_up: int,
    port: int,
    folder: Path,
    core: frozenset[int],
    tell: Callable[[str], None],
) -> Measured:
    """Let a job work off a warm-up, then measure how it works off the rest.

    Until the warm-up is committed the stream holds the rest, so nothing of it is in the processor
    time that is taken from the total.

    Args:
        engine: On which.
        shape: Which job.
        workload: Warm-up and backlog.
        warm_up: Readings of the warm-up.
        port: Of the stream.
        folder: An empty one.
        core: Of the worker.
        tell: Says how far it is.

    Raises:
        Failed: The job did not come to its end.
    """
    rounds = warm_up // workload.devices
    start = time.time() - workload.seconds - 60.0
    held_from = start + rounds * workload.cadence + ON_ITS_WAY
    with running(
        engine, shape, Serving(workload, start, port, held_from=held_from), folder, core
    ) as run:
        first = rounds * workload.devices
        run.until(_through(shape, workload, first), "warm-up")
        run.bind()
        _settle(run)
        before = run.used()
        tell(f"{engine.name}, {shape.name}: warm, {workload.total - first:,} readings released")
        run.release()
        end = run.until(_through(shape, workload, workload.total), "backlog")
        after = run.used()
        return Measured(
            workload.total - first,
            end - before.at,
            after.worker - before.worker,
            after.engine - before.engine,
            after.stream - before.stream,
            run.peak_megabytes(),
        )


def _through(shape: Shape, workload: Workload, readings: int) -> int:
    """When so many readings are through: but for what the order holds back, at either end."""
    if shape.map_only:
        return readings // workload.per_message
    return readings - WAITING * workload.devices


def _settle(run: Run) -> None:
    """Wait until nothing more of the warm-up comes through."""
    through = -1
    while (now := run.done()[0]) != through:
        through = now
        time.sleep(SETTLE)
