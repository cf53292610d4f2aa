"""Alert latency on Prism: from a reading's arrival in the stream to the alert in its channel.

A fleet in which every device fails once is published at a steady rate to an emulated Kinesis; the
whole job runs on Prism and tells every incident through a channel that is a file. What is measured
is `since_arrival` of the table `deliveries`: from the service's own stamp on the reading that made
the transition to the end of the attempt. Storms are off (they wait to see who else is in trouble),
and the bound of the disorder is a second. Transitions that time makes (silences, reminders) have no
such reading and are not in it.

    python -m benchmarks.live_latency [--rate 1000] [--devices 200]
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import duckdb
import msgspec
import numpy as np
import yaml

from eddyline.io.lake.read import open_table
from eddyline.pipeline.live.lived import Lived
from eddyline.pipeline.live.plan import Plan
from eddyline.pipeline.live.publisher import Publishing
from eddyline.pipeline.live.session import live
from eddyline.pipeline.live.view import Now, as_lines
from eddyline.pipeline.prism import get_prism

START, FAULTS, END = 60.0, 1.5, 20.0  # s for the start of all, minutes with faults, s after them
SAY_EVERY = 15.0  # s


@dataclass(frozen=True)
class Bench(Plan):
    """A run in which every device fails once, soon after it was learned."""

    def publishing(self, target: str) -> Publishing:
        """What the publisher is told."""
        return msgspec.structs.replace(
            super().publishing(target),
            faulty=1.0,
            minutes=self.warm_up + FAULTS,
            fault_minutes=(0.2, 0.5),
        )


def policy(folder: Path) -> Path:
    """A policy without storms that tells everything through a file."""
    path = folder / "bench.yaml"
    rules = {
        "defaults": {"quiet": "20s", "reminders": []},
        "storms": [{"devices": 0}],
        "channels": {"alerts": {"kind": "file", "path": str(folder / "alerts.jsonl")}},
        "routes": [{"channels": ["alerts"]}],
    }
    path.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return path


def measure(rate: float, devices: int, folder: Path) -> Lived:
    """Run the job until every device had its fault."""
    given = {"policy": str(policy(folder)), "disorder": 1.0}
    plan = Bench(devices=devices, rate=rate, folder=folder, patience=120.0, given=given)
    # Ends by what was published: how long the start takes is the machine's affair.
    stop, wanted, said = Event(), rate * 60 * (plan.warm_up + FAULTS), -SAY_EVERY

    def show(now: Now) -> None:
        nonlocal said
        if now.published >= wanted or now.seconds > START + wanted / rate + 10 * END:
            stop.set()
        if now.seconds - said >= SAY_EVERY:
            said = now.seconds
            print(as_lines(now), file=sys.stderr)

    return live(plan, get_prism(print), stop, show, print)


def latencies(lake: str) -> dict[str, list[float]]:
    """Seconds from arrival to alert, by transition."""
    deliveries = open_table(lake, "deliveries").to_pyarrow_dataset()
    with duckdb.connect() as connection:
        connection.register("deliveries", deliveries)
        rows = connection.execute(
            "select transition, since_arrival from deliveries "
            "where outcome = 'delivered' and since_arrival is not null"
        ).fetchall()
    found: dict[str, list[float]] = {"all": [seconds for _, seconds in rows]}
    for transition, seconds in rows:
        found.setdefault(transition, []).append(seconds)
    return found


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rate", type=float, default=1000.0, help="messages a second")
    arguments.add_argument("--devices", type=int, default=200)
    given = arguments.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        lived = measure(given.rate, given.devices, Path(folder))
        if lived.trouble or lived.differences:
            sys.exit("; ".join([lived.trouble, *lived.differences]))
        found = latencies(f"{folder}/lake")
    print(
        f"\nAlert latency on Prism, {given.rate:,.0f} messages/s of {given.devices} devices, "
        f"disorder 1 s, storms off ({lived.published:,} messages, {time.monotonic() - began:.0f} s)"
    )
    print(f"{'transition':<12}{'alerts':>8}{'p50 s':>8}{'p90 s':>8}{'p99 s':>8}{'max s':>8}")
    for transition, seconds in found.items():
        quantiles = np.quantile(seconds, [0.5, 0.9, 0.99, 1.0]) if seconds else [float("nan")] * 4
        numbers = "".join(f"{value:8.2f}" for value in quantiles)
        print(f"{transition:<12}{len(seconds):>8}{numbers}")


if __name__ == "__main__":
    main()
