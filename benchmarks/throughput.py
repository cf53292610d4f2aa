"""Readings a second of the full job, beside two yardsticks: `make bench`.

Each job runs in a process of its own, bound to one core, so its CPU time and peak memory are its
own. The yardsticks say what the machine and Beam allow: a job that only reads and counts, and one
that does the same work with one element a reading. What each stage costs is measured by calling it
alone on the same data; the rest of the full job's CPU is Beam's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from eddyline.detectors.protocol import Detector
from eddyline.io.files import ReadFiles
from eddyline.io.files.lines import line_batches
from eddyline.pipeline import job, sinks
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import prepare
from eddyline.pipeline.settings import Settings, settings_of
from eddyline.pipeline.sources import FILE_BATCH
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract, load_contract
from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import PayloadParser
from eddyline.transforms.devices.shard import split_by_shard
from eddyline.transforms.enrich import EMPTY, enrich
from eddyline.transforms.fleet.fleet import END_OF_TIME
from eddyline.transforms.fleet.fleet_codec import encode_fleet
from eddyline.transforms.minutes.minute_rows import minute_rows
from eddyline.transforms.minutes.minute_sums import steps_of
from eddyline.transforms.minutes.partial import partial_sums

DEVICES = 1_000
START = 1_767_592_800.0  # 2026-01-05T06:00Z
ONE_BY_ONE = 50_000  # readings of the slow yardstick: enough to outweigh its start


def write_lines(path: Path, readings: int, cadence: int) -> None:
    """Write the messages: 1,000 devices, 3 channels, in the order of time."""
    random = np.random.default_rng(1)
    steps = readings // DEVICES
    level = random.normal(20, 3, DEVICES)
    with path.open("w", encoding="utf-8") as file:
        for step in range(steps):
            at = START + step * cadence + random.uniform(0, cadence, DEVICES)
            temperature = level + np.sin(step / 700) + random.normal(0, 0.1, DEVICES)
            humidity = 50 + random.normal(0, 0.5, DEVICES)
            pressure = 1013 + random.normal(0, 0.2, DEVICES)
            file.writelines(
                f'{{"device_id":"dev-{d:04d}","timestamp":{t:.3f},"temperature":{a:.2f},'
                f'"humidity":{b:.1f},"pressure":{c:.1f}}}\n'
                for d, (t, a, b, c) in enumerate(
                    zip(at, temperature, humidity, pressure, strict=True)
                )
            )


def settings_for(path: Path, lake: Path, detector: str) -> Settings:
    """The full job's settings."""
    return settings_of({"source": str(path), "lake": str(lake), "detector": detector})


def full(path: Path, lake: Path, detector: str) -> int:
    """The full job with its lake."""
    options = beam_options([], runner="FnApiRunner")
    return prepare(settings_for(path, lake, detector), options).run().counts["readings"]


def map_only(path: Path, lake: Path, detector: str) -> int:
    """Read and count."""
    del lake, detector
    with beam.Pipeline(options=beam_options([], runner="FnApiRunner")) as pipeline:
        counts = (
            pipeline | ReadFiles(str(path), FILE_BATCH) | "Rows" >> beam.Map(pa.RecordBatch.__len__)
        )
        _ = counts | beam.CombineGlobally(sum)
    return _lines_in(path)


def one_by_one(path: Path, lake: Path, detector: str) -> int:
    """One element a reading, keyed by device: decode, group, score; no minutes and no lake."""
    del lake
    model = model_of(load_contract("room"), detector)
    with beam.Pipeline(options=beam_options([], runner="FnApiRunner")) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromText(str(path))
            | beam.Map(decode_one).with_output_types(tuple[str, tuple[float, ...]])
            | beam.GroupByKey()
            | beam.FlatMap(score_one_by_one, model)
            | beam.combiners.Count.Globally()
        )
    return _lines_in(path)


def _lines_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def decode_one(line: str) -> tuple[str, tuple[float, ...]]:
    """A reading as a pair of device and values."""
    sent = msgspec.json.decode(line)
    values = (sent["timestamp"], sent["temperature"], sent["humidity"], sent["pressure"])
    return sent["device_id"], values


def score_one_by_one(keyed: tuple[str, Iterable[tuple[float, ...]]], model: Any) -> Iterator[float]:
    """A device's readings through its model, one call each."""
    state = model.new(1)
    for time_, *values in sorted(keyed[1]):
        at = np.array([int(time_ * 1e6)])
        row = np.array([values])
        yield float(model.observe(state, np.zeros(1, np.int32), at, row).score[0])


def model_of(contract: Contract, detector: str) -> Detector:
    """The detector with its defaults."""
    return job.fleet_settings(contract, settings_of({"detector": detector})).detector


JOBS: dict[str, Callable[[Path, Path, str], int]] = {
    "full": full,
    "map only": map_only,
    "one element a reading": one_by_one,
}


def stages(path: Path, detector: str, lake: Path) -> tuple[dict[str, float], float]:
    """CPU µs a reading of each stage, called alone; and the bytes of state a device."""
    contract = load_contract("room")
    settings = settings_for(path, lake, detector)
    fleets = job.fleet_settings(contract, settings)
    decoder, names = Decoder(contract, PayloadParser(contract)), [c.name for c in contract.channels]
    spent: dict[str, float] = {}
    coder, steps = RecordBatchCoder(), steps_of(contract.channels)

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        spent[stage] = spent.get(stage, 0.0) + time.process_time() - start
        return result

    with path.open("rb") as file:
        batches = timed("read", lambda: list(line_batches(file, str(path), 2**51, FILE_BATCH)))
    decoded = timed("decode", lambda: [d.readings for b in batches for d in decoder.decode(b)])
    enriched = timed("enrich", lambda: [enrich(batch, EMPTY, names) for batch in decoded])
    keyed = timed("shuffle", lambda: [p for b in enriched for p in split_by_shard(b, 16)])
    moved = timed("shuffle", lambda: [(k, coder.decode(coder.encode(b))) for k, b in keyed])
    by_shard: dict[int, list[pa.RecordBatch]] = {}
    for key, batch in moved:
        by_shard.setdefault(key, []).append(batch)
    rows = sum(batch.num_rows for batch in decoded)
    schema = arrow_schema(contract.record("minute"))
    tables = {table.name: table for table in sinks.lake_tables(settings)}
    state = 0
    for parts in by_shard.values():
        fleet = fleets.new_fleet()
        score = fleet.detector
        timing = _Timed(score, lambda work: timed("score", work))
        fleet.detector = timing
        whole = pa.concat_batches(parts)
        before = spent.get("score", 0.0)
        first = timed("order", lambda f=fleet, w=whole: f.observe(w))
        rest = timed("order", lambda f=fleet: f.advance(END_OF_TIME))
        spent["order"] -= spent["score"] - before
        fleet.detector = score
        state += len(encode_fleet(fleet))
        part = timed("minutes", lambda w=first: partial_sums(w.unique, contract.channels, steps))
        minutes = timed(
            "minutes",
            lambda p=part: minute_rows(p, [0] * p.num_rows, contract.channels, steps, schema),
        )
        scored = pa.Table.from_batches([first.scored, rest.scored])
        timed("lake", lambda s=scored: tables["readings"].write(str(lake), s, 0))
        written = pa.Table.from_batches([minutes])
        timed("lake", lambda w=written: tables["minutes"].write(str(lake), w, 0))
    raw = pa.Table.from_batches(batches)
    timed("lake", lambda: tables["raw"].write(str(lake), raw, 0))
    return {stage: seconds / rows * 1e6 for stage, seconds in spent.items()}, state / DEVICES


class _Timed:
    """A detector whose `observe` is timed apart from what is around it."""

    def __init__(self, detector: Detector, timed: Callable[[Callable[[], Any]], Any]) -> None:
        self._detector, self._timed = detector, timed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    def observe(self, *arguments: Any) -> Any:
        return self._timed(lambda: self._detector.observe(*arguments))


def child(name: str, path: Path, detector: str) -> None:
    """Run one job in this process and print its numbers as JSON."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    lake = path.parent / f"lake-{os.getpid()}"
    # Compile and load what a long-running worker has compiled long ago.
    warm = path.parent / "warm.jsonl"
    write_lines(warm, 2 * DEVICES, 60)
    JOBS[name](warm, path.parent / f"warm-{os.getpid()}", detector)
    cpu, start = time.process_time(), time.monotonic()
    readings = JOBS[name](path, lake, detector)
    numbers = {
        "readings": readings,
        "seconds": time.monotonic() - start,
        "cpu": time.process_time() - cpu,
        "peak_mb": _peak_mb(),
    }
    shutil.rmtree(lake, ignore_errors=True)
    sys.stdout.write("\n" + json.dumps(numbers) + "\n")


def _peak_mb() -> float:
    """Of this program alone: the kernel's `ru_maxrss` begins with that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measured(name: str, path: Path, detector: str) -> dict[str, float]:
    """One job's numbers, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.throughput", "--child", name]
    command += ["--file", str(path), "--detector", detector]
    as_the_command = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=as_the_command)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--cadence", type=int, nargs="*", default=[5, 60])
    parser.add_argument("--detector", default=Settings().detector)
    parser.add_argument("--child", choices=list(JOBS))
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.file, given.detector)
        return
    console = Console(width=100, highlight=False)
    console.print(f"{machine()}; one core; detector {given.detector}")
    for cadence in given.cadence:
        with tempfile.TemporaryDirectory() as folder:
            _measure(console, Path(folder), given.readings, cadence, given.detector)


def _measure(console: Console, folder: Path, readings: int, cadence: int, detector: str) -> None:
    path, short = folder / "messages.jsonl", folder / "short.jsonl"
    write_lines(path, readings, cadence)
    write_lines(short, ONE_BY_ONE, cadence)
    table = Table(title=f"{readings:,} readings of {DEVICES:,} devices, {cadence} s cadence")
    for column in ("job", "readings/s", "CPU µs a reading", "peak MB"):
        table.add_column(column, justify="left" if column == "job" else "right")
    cpu = 0.0
    for name in JOBS:
        with console.status(f"{name}, {cadence} s cadence"):
            found = measured(name, short if name == "one element a reading" else path, detector)
        each = found["cpu"] / found["readings"] * 1e6
        cpu = each if name == "full" else cpu
        rate = found["readings"] / found["seconds"]
        table.add_row(name, f"{rate:,.0f}", f"{each:.2f}", f"{found['peak_mb']:,.0f}")
    console.print(table)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    stages(folder / "warm.jsonl", detector, folder / "warm")
    spent, state = stages(path, detector, folder / "stages")
    told = ", ".join(f"{stage} {micros:.2f}" for stage, micros in spent.items())
    rest = cpu - sum(spent.values())
    console.print(f"CPU µs a reading: {told}; Beam and the rest {rest:.2f}", highlight=False)
    console.print(f"State: {state:,.0f} bytes a device\n", highlight=False)


if __name__ == "__main__":
    main()
