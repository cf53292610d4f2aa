"""Measure and print: what a number of shards costs, over devices and cadence.

Two parts. Watch alone, in this process, over many points: what it computes and writes for a
reading, where a bundle is a quarter of a second of the stream. And the whole job on Prism at a live
rate over few of them: what each touch of a shard's state costs with the engine around it.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.table import Table

from benchmarks.engines import latency
from benchmarks.engines.cores import worker_core
from benchmarks.engines.engine import Engine, Failed, Unavailable
from benchmarks.engines.prism import prism
from benchmarks.engines.report import console
from benchmarks.engines.run import Shape, lead_to
from benchmarks.engines.workload import Workload
from benchmarks.machine import machine
from benchmarks.sweep.balance import busiest
from benchmarks.sweep.point import BUNDLE, Cost, Point, measure
from eddyline.pipeline.live.child import free_port

EVIDENCE = Path(__file__).parents[2] / "docs/evidence/sweep.txt"
POINTS = [
    *(Point(100, 1.0, shards) for shards in (1, 4, 16, 64)),
    *(Point(1_000, 5.0, shards) for shards in (1, 4, 16, 64)),
    *(Point(1_000, 60.0, shards) for shards in (1, 16, 64)),
    *(Point(10_000, 5.0, shards) for shards in (4, 16, 64, 256)),
    *(Point(10_000, 60.0, shards) for shards in (4, 16, 64, 256)),
    *(Point(10_000, 300.0, shards) for shards in (4, 16, 64)),
    *(Point(100_000, 5.0, shards) for shards in (16, 64, 256)),
    *(Point(100_000, 60.0, shards) for shards in (16, 64, 256)),
]
LIVE = [
    *(Point(1_000, 5.0, shards) for shards in (4, 16, 64)),
    *(Point(10_000, 5.0, shards) for shards in (16, 64)),
]
BUDGET = 3.0  # processor seconds a point
LIVE_SECONDS, LIVE_WARM = 35.0, 0.45  # s; part of it before the measuring
LEAD = 12.0  # s
WORKERS, SHARDS = (2, 4, 8, 16), (8, 16, 32, 64, 128, 256)


def say(words: str) -> None:
    """Tell how far it is, beside what is printed."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stderr.flush()


def watch_table(found: dict[Point, Cost]) -> Table:
    """One row a point."""
    table = Table(title=f"Watch alone, bundles of {BUNDLE} s; bytes of state written")
    columns = ("devices", "cadence s", "readings/s", "shards", "rows a touch", "touches/s")
    for column in (*columns, "µs a reading", "core %", "bytes a reading", "MB/day"):
        table.add_column(column, justify="right")
    last = None
    for point, cost in found.items():
        if last not in (None, (point.devices, point.cadence)):
            table.add_section()
        last = (point.devices, point.cadence)
        table.add_row(
            f"{point.devices:,}",
            f"{point.cadence:g}",
            f"{point.rate:,.0f}",
            f"{point.shards}",
            f"{point.rate / cost.touches:,.1f}",
            f"{cost.touches:,.0f}",
            f"{cost.micros:,.1f}",
            f"{point.rate * cost.micros / 1e4:,.1f}",
            f"{cost.bytes_written:,.0f}",
            f"{cost.bytes_written * point.rate * 86_400 / 1e6:,.0f}",
        )
    return table


def live_table(found: dict[Point, latency.Latency]) -> Table:
    """One row a point."""
    table = Table(title="The whole job on Prism, live")
    columns = ("devices", "cadence s", "readings/s", "shards", "worker core %", "engine core %")
    for column in columns:
        table.add_column(column, justify="right")
    for point, cost in found.items():
        table.add_row(
            f"{point.devices:,}",
            f"{point.cadence:g}",
            f"{point.rate:,.0f}",
            f"{point.shards}",
            f"{100 * cost.worker:.0f}",
            f"{100 * cost.engine:.0f}",
        )
    return table


def balance_table() -> Table:
    """What the busiest of some workers has."""
    table = Table(title="Busiest worker, in shares of an even spread")
    table.add_column("shards", justify="right")
    for workers in WORKERS:
        table.add_column(f"{workers} workers", justify="right")
    for shards in SHARDS:
        table.add_row(f"{shards}", *(f"{busiest(shards, workers):.2f}" for workers in WORKERS))
    return table


def live(engine: Engine, point: Point, port: int, folder: Path) -> latency.Latency:
    """The whole job at a point's rate."""
    workload = Workload(
        round(point.rate * LIVE_SECONDS),
        min(point.devices, round(point.rate * LIVE_SECONDS)),
        point.cadence,
        faulty=0.0,
        fault_from=LIVE_WARM,
        shards=max(1, round(point.rate / 1_000)),  # that many records a second each takes
    )
    core = worker_core(os.sched_getaffinity(0))
    shape = Shape(f"{point.shards} shards", settings={"shards": point.shards})
    return latency.measure(engine, shape, workload, LEAD, port, folder, core, say)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--budget", type=float, default=BUDGET, help="seconds a point")
    arguments.add_argument("--no-live", action="store_true", help="leave the runs on Prism out")
    arguments.add_argument("--keep", action="store_true", help=f"write {EVIDENCE.name} as well")
    given = arguments.parse_args()
    load = os.getloadavg()[0]
    begun = time.monotonic()
    alone: dict[Point, Cost] = {}
    for point in POINTS:
        alone[point] = cost = measure(point, given.budget)
        say(f"{point}: {cost.micros:.1f} µs, {cost.bytes_written:,.0f} bytes a reading")
    within: dict[Point, latency.Latency] = {}
    missing: list[str] = []
    if not given.no_live:
        missing = _live(within)
    terminal = console()
    terminal.print(f"{machine()}; load before the start {load:.1f}")
    terminal.print(watch_table(alone))
    if within:
        terminal.print(live_table(within))
    terminal.print(balance_table())
    for words in missing:
        terminal.print(f"Not measured: {words}")
    terminal.print(f"{time.monotonic() - begun:.0f} s in all")
    if given.keep:
        EVIDENCE.write_text(terminal.export_text(), encoding="utf-8")


def _live(found: dict[Point, latency.Latency]) -> list[str]:
    """Fill in what can be measured; what cannot, in words."""
    missing: list[str] = []
    port = free_port()
    lead_to(port)
    try:
        with tempfile.TemporaryDirectory() as where, prism(Path(where), say) as engine:
            for number, point in enumerate(LIVE):
                folder = Path(where) / f"{number}"
                folder.mkdir()
                try:
                    found[point] = live(engine, point, port, folder)
                except Failed as error:
                    missing.append(f"{point}: {error}")
    except Unavailable as error:
        missing.append(f"the job on Prism: {error}")
    return missing


if __name__ == "__main__":
    main()
