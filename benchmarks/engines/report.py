"""The report: tables for the terminal and for the evidence."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from benchmarks.engines.latency import Latency
from benchmarks.engines.throughput import Measured

WIDTH = 120


def console() -> Console:
    """A terminal of a fixed width that also keeps what it prints."""
    return Console(width=WIDTH, highlight=False, record=True)


def throughput_table(title: str, found: Mapping[tuple[str, str, int], Measured]) -> Table:
    """One row for each engine, job and number of readings in a message."""
    table = Table(title=title)
    table.add_column("engine")
    table.add_column("job")
    for column in (
        "readings a message",
        "readings/s a core",
        "by the clock",
        "worker µs",
        "engine µs",
        "stream µs",
        "worker MB",
        "engine MB",
    ):
        table.add_column(column, justify="right")
    for (engine, shape, per_message), took in found.items():
        micros = [1e6 * each / took.readings for each in (took.worker, took.engine, took.stream)]
        table.add_row(
            engine,
            shape,
            f"{per_message}",
            f"{took.a_core:,.0f}",
            f"{took.by_the_clock:,.0f}",
            *(f"{each:.1f}" for each in micros),
            *(f"{each:,.0f}" for each in took.megabytes),
        )
    return table


def latency_table(title: str, found: Mapping[tuple[str, str], Latency]) -> Table:
    """One row for each engine, job and place."""
    table = Table(title=title)
    for column in ("engine", "job", "from its arrival to"):
        table.add_column(column)
    for column in ("number", "p50 s", "p90 s", "p99 s", "worker core", "engine core"):
        table.add_column(column, justify="right")
    for (engine, shape), latency in found.items():
        used = [f"{100 * latency.worker:.0f} %", f"{100 * latency.engine:.0f} %"]
        for way in latency.ways:
            quantiles = [f"{way.quantile(part):.2f}" for part in (0.5, 0.9, 0.99)]
            table.add_row(engine, shape, way.to, f"{len(way.seconds):,}", *quantiles, *used)
    return table
