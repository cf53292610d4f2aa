"""One run: a stream, an engine, a job, and what can be seen of it from outside."""

import os
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from benchmarks.engines.cores import bind
from benchmarks.engines.engine import Engine, Failed, Running
from benchmarks.engines.job import Job
from benchmarks.engines.lake_log import LakeRows
from benchmarks.engines.map_only import counted
from benchmarks.engines.processor_time import peak_megabytes, processor_seconds
from benchmarks.engines.stream_server import STREAM, Serving
from eddyline.pipeline.live.child import Child
from eddyline.pipeline.live.emulators import AWS

PATIENCE = 300.0  # s without headway
STEP = 0.1  # s between two looks


class Shape(msgspec.Struct, frozen=True):
    """Which job.

    Args:
        name: For the table.
        map_only: Whether it only reads and counts.
        settings: Of the full job, over the defaults.
        defaults: Of the policy, over the defaults.
        storms: Whether storms are looked for.
        samples: The file for where the job's process spends its time; empty for none.
    """

    name: str
    map_only: bool = False
    settings: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    storms: bool = True
    samples: str = ""


@dataclass(frozen=True)
class Used:
    """What was used up to a moment.

    Args:
        at: Seconds since the epoch.
        worker: Processor seconds of the Python worker.
        engine: Those of the engine's own processes.
        stream: Those of the stream's server.
    """

    at: float
    worker: float
    engine: float
    stream: float


class Run:
    """A job that runs; see `running`."""

    def __init__(
        self,
        stream: Child,
        job: Child,
        engine: Running,
        shape: Shape,
        folder: Path,
        core: frozenset[int],
    ) -> None:
        self.stream, self.job, self.engine = stream, job, engine
        self.shape, self.folder, self.core = shape, folder, core
        self.lake = folder / "lake"
        self.counts = folder / "counts"
        self._rows = {name: LakeRows(self.lake / name) for name in ("readings", "raw_files")}

    def used(self) -> Used:
        """What was used so far."""
        return Used(
            time.time(),
            processor_seconds(self.workers()),
            processor_seconds(self.engine.pids),
            processor_seconds([self.stream.process.pid]),
        )

    def workers(self) -> list[int]:
        """The Python workers' pids."""
        return self.engine.workers(self.job.process.pid)

    def bind(self) -> None:
        """Give the worker its core."""
        for pid in self.workers():
            bind(pid, self.core)

    def peak_megabytes(self) -> tuple[float, float]:
        """The most memory that the workers had, and the engine's own processes."""
        return sum(map(peak_megabytes, self.workers())), sum(map(peak_megabytes, self.engine.pids))

    def release(self) -> None:
        """Let the stream give out what it held."""
        stdin = self.stream.process.stdin
        if stdin is None:
            raise Failed("the stream cannot be told anything")
        stdin.write(b"release\n")
        stdin.flush()

    def done(self) -> tuple[int, float]:
        """Readings (messages of the map-only job) that are through, and since when."""
        if self.shape.map_only:
            seen = self.counts.stat().st_mtime if self.counts.exists() else 0.0
            return counted(self.counts), seen
        rows = self._rows["readings"]
        return rows.look(), rows.seen

    def until(self, wanted: int, what: str) -> float:
        """Wait until so many are through; since when they are.

        Raises:
            Failed: Nothing more came for a while, or a program ended.
        """
        last, moved = -1, time.monotonic()
        while True:
            through, seen = self.done()
            if through >= wanted:
                return seen
            if through != last:
                last, moved = through, time.monotonic()
            trouble = ""
            if time.monotonic() - moved > PATIENCE:
                trouble = f"{through:,} of {wanted:,} are through, and no more for {PATIENCE:.0f} s"
            for child in (self.stream, self.job):
                if child.gone:
                    trouble = f"{child.name} ended"
            if trouble:
                raise Failed(f"{what}: {trouble}; {_last_words(self.job.log)}")
            time.sleep(STEP)


def _last_words(log: Path) -> str:
    words = log.read_text(errors="replace").split("\n") if log.exists() else []
    told = [line for line in words if line.strip()]
    return told[-1][-300:] if told else f"{log} is empty"


@contextmanager
def running(
    engine: Engine, shape: Shape, serving: Serving, folder: Path, core: frozenset[int]
) -> Generator[Run]:
    """Start stream, engine and job; everything is ended as the block ends.

    Args:
        engine: On which.
        shape: Which job.
        serving: What is in the stream, on a port that is known.
        folder: An empty one, for lake, policy and logs.
        core: Of the worker.

    Raises:
        Failed: The stream does not start.
    """
    settings: dict[str, Any] = {
        "source": f"kinesis:{STREAM}",
        "lake": str(folder / "lake"),
        "policy": str(_policy(shape, folder)),
        **shape.settings,
    }
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.engines.stream_server"]
        told = msgspec.json.encode(serving).decode()
        stream = Child("stream", [*command, told], folder / "stream.log", listens=True)
        stack.callback(stream.end)
        if not stream.lines.readline().strip().isdigit():
            raise Failed(f"the stream does not start: {_last_words(stream.log)}")
        started = stack.enter_context(engine.start())
        count_in = str(folder / "counts") if shape.map_only else ""
        job = Job(settings, started.flags, count_in, shape.samples)
        command = [
            sys.executable,
            "-m",
            "benchmarks.engines.job",
            msgspec.json.encode(job).decode(),
        ]
        log = folder / "job.log"
        child = Child("job", command, log, {"PYTHONWARNINGS": "ignore"})
        stack.callback(child.end, hard=True)
        stack.callback(started.stop)
        yield Run(stream, child, started, shape, folder, core)


def _policy(shape: Shape, folder: Path) -> Path:
    """A policy that tells every incident, by appending to a file."""
    rules: dict[str, Any] = {
        "defaults": shape.defaults,
        "channels": {"alerts": {"kind": "file", "path": str(folder / "alerts.jsonl")}},
        "routes": [{"channels": ["alerts"]}],
    }
    if not shape.storms:
        rules["storms"] = [{"devices": 0}]
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return path


def lead_to(port: int) -> None:
    """Lead this process, and what it starts, to the stream."""
    os.environ.update({**AWS, "AWS_ENDPOINT_URL_KINESIS": f"http://127.0.0.1:{port}"})
