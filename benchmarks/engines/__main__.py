"""Measure both engines and print: see the package's docstring and `--help`."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec.structs import replace

from benchmarks.engines import latency, throughput
from benchmarks.engines.cores import worker_core
from benchmarks.engines.engine import Engine, Failed, Unavailable
from benchmarks.engines.flink import flink
from benchmarks.engines.prism import prism
from benchmarks.engines.report import console, latency_table, throughput_table
from benchmarks.engines.run import lead_to
from benchmarks.engines.workload import Workload
from benchmarks.machine import machine
from eddyline.pipeline.live.child import free_port

EVIDENCE = Path(__file__).parents[2] / "docs/evidence/engines.txt"
DEVICES, CADENCE = 1_000, 5.0
WARM_UP = 100_000  # readings
RATE, LIVE_DEVICES = 1_000, 200  # readings/s; a device sends five a second, to be warm in a minute
LEARN, FAULTY = 75.0, 60.0  # s of the live run
COUNT_SECONDS = 30.0  # s of the live map-only run
LIVE_STREAM_SHARDS = 2  # of 1,000 records/s each
LEAD = 12.0  # s to encode a live stream

Starts = Callable[[Path, Callable[[str], None]], AbstractContextManager[Engine]]
ENGINES: dict[str, Starts] = {"prism": prism, "flink": flink}
RUNS = [
    (throughput.FULL, 1),
    (throughput.FULL, 50),
    (throughput.NO_RAW, 1),
    (throughput.NO_RAW, 50),
    (throughput.MAP_ONLY, 1),
    (throughput.MAP_ONLY, 50),
]


def say(words: str) -> None:
    """Tell how far it is, beside what is printed."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stderr.flush()


class Bench:
    """What was asked for, and what was found so far."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given, self.folder = given, folder
        self.core = worker_core(os.sched_getaffinity(0))
        self.port = free_port()
        self.rates: dict[tuple[str, str, int], throughput.Measured] = {}
        self.waits: dict[tuple[str, str], latency.Latency] = {}
        self.missing: list[str] = []
        self.engines: list[str] = []
        self._runs = 0

    def all(self) -> None:
        """Every run on every engine; one that fails leaves a reason and the others go on."""
        lead_to(self.port)
        for name in self.given.engine:
            try:
                with ENGINES[name](self.folder, say) as engine:
                    self.engines.append(engine.says)
                    self._rates(engine)
                    self._waits(engine)
            except Unavailable as error:
                self._miss(f"{name}: {error}")

    def _rates(self, engine: Engine) -> None:
        for shape, per_message in RUNS:
            if self.given.only == "latency" or shape.name not in self.given.job:
                continue
            # A job that does less needs more to take as long.
            times = 3 if shape.map_only else 1
            readings = self.given.warm_up + times * self.given.readings
            workload = Workload(readings, DEVICES, CADENCE, per_message)
            say(f"{engine.name}, {shape.name}, {per_message} readings a message ...")
            key = (engine.name, shape.name, per_message)
            if not shape.map_only:
                shape = replace(shape, settings={**shape.settings, **self.given.settings})
            if self.given.samples and engine.name == "Prism":
                name = "-".join(map(str, key)).replace(" ", "-")
                shape = replace(shape, samples=str(self.given.samples / f"{name}.txt"))
            try:
                self.rates[key] = took = throughput.measure(
                    engine,
                    shape,
                    workload,
                    self.given.warm_up,
                    self.port,
                    self._own(),
                    self.core,
                    say,
                )
                say(
                    f"  {took.a_core:,.0f} readings/s a core, {took.by_the_clock:,.0f} by the clock"
                )
            except Failed as error:
                self._miss(f"{', '.join(map(str, key))}: {error}")

    def _waits(self, engine: Engine) -> None:
        if self.given.only == "throughput":
            return
        whole = LEARN + FAULTY
        for shape, seconds in ((latency.FULL, whole), (latency.MAP_ONLY, COUNT_SECONDS)):
            workload = Workload(
                round(RATE * seconds),
                LIVE_DEVICES,
                LIVE_DEVICES / RATE,
                faulty=0.0 if shape.map_only else 1.0,
                fault_from=0.4 if shape.map_only else LEARN / whole,
                fault_seconds=10.0,
                shards=LIVE_STREAM_SHARDS,
            )
            try:
                self.waits[engine.name, shape.name] = latency.measure(
                    engine, shape, workload, LEAD, self.port, self._own(), self.core, say
                )
            except Failed as error:
                self._miss(f"{engine.name}, {shape.name}, latency: {error}")

    def _own(self) -> Path:
        self._runs += 1
        folder = self.folder / f"run-{self._runs}"
        folder.mkdir()
        return folder

    def _miss(self, words: str) -> None:
        say(words)
        self.missing.append(words)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--engine", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    arguments.add_argument("--readings", type=int, default=600_000, help="of a full job's backlog")
    arguments.add_argument("--warm-up", type=int, default=WARM_UP, help="readings before it")
    names = list(dict.fromkeys(shape.name for shape, _ in RUNS))
    arguments.add_argument("--job", nargs="*", choices=names, default=names)
    arguments.add_argument("--settings", type=json.loads, default={}, help="JSON: of the full jobs")
    arguments.add_argument(
        "--samples", type=Path, help="folder: where the worker on Prism spends it"
    )
    arguments.add_argument("--only", choices=["throughput", "latency"])
    arguments.add_argument("--keep", action="store_true", help=f"write {EVIDENCE.name} as well")
    given = arguments.parse_args()
    begun, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(given, Path(folder))
        bench.all()
    terminal = console()
    terminal.print(f"{machine()}; worker bound to one core; load before the start {load:.1f}")
    for says in bench.engines:
        terminal.print(says)
    if given.settings:
        terminal.print(f"Settings: {json.dumps(given.settings)}")
    if bench.rates:
        title = f"{DEVICES:,} devices, {CADENCE:.0f} s cadence, 16 shards, backlog from Kinesis"
        terminal.print(throughput_table(title, bench.rates))
    if bench.waits:
        title = f"{RATE:,} readings/s of {LIVE_DEVICES} devices, disorder {latency.DISORDER:.0f} s"
        terminal.print(latency_table(title, bench.waits))
    for words in bench.missing:
        terminal.print(f"Not measured: {words}")
    terminal.print(f"{time.monotonic() - begun:.0f} s in all")
    if given.keep:
        EVIDENCE.write_text(terminal.export_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
