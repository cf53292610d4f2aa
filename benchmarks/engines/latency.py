"""Latency: how long after its arrival in the stream a reading is where a user looks for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.engines.engine import Engine
from benchmarks.engines.lake_log import commits
from benchmarks.engines.map_only import latencies
from benchmarks.engines.run import Run, Shape, running
from benchmarks.engines.stream_server import Serving
from benchmarks.engines.workload import Workload

DISORDER = 1.0  # s
FULL = Shape(
    "full job",
    settings={"disorder": DISORDER},
    defaults={"quiet": "20s", "reminders": []},
    storms=False,  # they wait to see who else is in trouble
)
MAP_ONLY = Shape("map only", map_only=True, settings={"disorder": DISORDER})


@dataclass(frozen=True)
class Way:
    """How long it takes to one place.

    Args:
        to: Where.
        seconds: Of each reading or alert.
    """

    to: str
    seconds: NDArray[np.float64]

    def quantile(self, part: float) -> float:
        """The time in which so many of them are there; NaN of none."""
        return float(np.quantile(self.seconds, part)) if len(self.seconds) else float("nan")


@dataclass(frozen=True)
class Latency:
    """What a run found.

    Args:
        ways: One a place.
        worker: Processor seconds a second of the Python worker.
        engine: Those of the engine.
    """

    ways: list[Way]
    worker: float
    engine: float


def measure(
    engine: Engine,
    shape: Shape,
    workload: Workload,
    lead: float,
    port: int,
    folder: Path,
    core: frozenset[int],
    tell: Callable[[str], None],
) -> Latency:
    """Feed a job at the pace of the clock.

    Nothing that arrives before the first fault counts: until then workers start, and models learn.

    Args:
        engine: On which.
        shape: Which job.
        workload: What is sent; its faults are what alerts are told of.
        lead: Seconds to encode the stream, before its first reading.
        port: Of the stream.
        folder: An empty one.
        core: Of the worker.
        tell: Says how far it is.

    Raises:
        Failed: The job did not come to its end.
    """
    start = time.time() + lead
    since = start + workload.fault_from * workload.seconds
    with running(engine, shape, Serving(workload, start, port, live=True), folder, core) as run:
        run.until(1, "start")
        run.bind()
        tell(f"{engine.name}, {shape.name}: running at {workload.total / workload.seconds:,.0f}/s")
        time.sleep(max(0.0, since - time.time()))
        before = run.used()
        wanted = workload.messages if shape.map_only else workload.total
        time.sleep(max(0.0, start + workload.seconds - time.time()))
        after = run.used()
        run.until(wanted, "end")
        passed = after.at - before.at
        return Latency(
            _ways(run, since, workload),
            (after.worker - before.worker) / passed,
            (after.engine - before.engine) / passed,
        )


def _ways(run: Run, since: float, workload: Workload) -> list[Way]:
    if run.shape.map_only:
        early = round(workload.fault_from * workload.messages)
        return [Way("counted", latencies(run.counts, early))]
    return [
        Way("message in the raw zone", raw_zone(run.lake, since)),
        Way("scored reading in the lake", scored(run.lake, since)),
        Way("alert delivered", alerts(run.lake, since)),
    ]


def scored(lake: Path, since: float) -> NDArray[np.float64]:
    """From each reading's arrival to the commit by which readers of the table see it."""
    found: list[NDArray[np.float64]] = [np.empty(0)]
    for commit in commits(lake / "readings"):
        for name in commit.files:
            arrival = _seconds(pq.read_table(lake / "readings" / name, columns=["arrival_time"]))
            found.append(commit.seen - arrival[arrival >= since])
    return np.concatenate(found)


def raw_zone(lake: Path, since: float) -> NDArray[np.float64]:
    """From each message's arrival to the commit that names its file."""
    found: list[NDArray[np.float64]] = [np.empty(0)]
    for commit in commits(lake / "raw_files"):
        for index in commit.files:
            for name in pq.read_table(lake / "raw_files" / index)["path"].to_pylist():
                with (lake / name).open("rb") as file:
                    messages: Any = fastavro.reader(file)
                    rows = [message["arrival_time"].timestamp() for message in messages]
                arrival = np.array(rows)
                found.append(commit.seen - arrival[arrival >= since])
    return np.concatenate(found)


def alerts(lake: Path, since: float) -> NDArray[np.float64]:
    """From the arrival of the reading that opened an incident to the end of its first delivery."""
    found: list[NDArray[np.float64]] = [np.empty(0)]
    for commit in commits(lake / "deliveries"):
        for name in commit.files:
            rows = pq.read_table(lake / "deliveries" / name).to_pylist()
            told = [
                row["since_arrival"]
                for row in rows
                if row["outcome"] == "delivered"
                and row["transition"] == "opened"
                and row["since_arrival"] is not None
                and row["attempted_at"].timestamp() >= since
            ]
            found.append(np.array(told, np.float64))
    return np.concatenate(found)


def _seconds(table: pa.Table) -> NDArray[np.float64]:
    return table["arrival_time"].cast(pa.int64()).to_numpy() / 1e6
