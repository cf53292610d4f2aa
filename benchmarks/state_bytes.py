"""Bytes of state a reading: the whole shard at each touch, beside a log of what changed.

    python -m benchmarks.state_bytes

Plays one shard of the streaming job with cells of state that count: devices with 3 channels and
warm models that report once a minute, some rows of them in a touch, and the timers that put them in
order. A touch is a bundle of its own. One cycle of the log is measured, from one base to the next.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from apache_beam.utils.timestamp import Timestamp
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from xxhash import xxh3_64_intdigest

from eddyline.pipeline import job
from eddyline.pipeline.settings import settings_of
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms import watch
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_codec import decode_fleet, encode_fleet
from eddyline.transforms.fleet.fleet_log import FleetLog
from eddyline.transforms.incidents.known_files import KnownFiles

DEVICES = (16, 64, 250, 1_000, 6_250)
ROWS = (1, 5, 20, 100, 500)
CADENCE = 60_000_000
WARM = 320
"""Readings of each device before anything is measured."""
T0 = 1_767_592_800_000_000  # 2026-01-05T06:00Z
ENOUGH = 0.3
"""CPU seconds after which a measurement without a cycle ends."""


class Cell:
    """A cell of state that counts what goes in and out; of one value or of many."""

    def __init__(self, bag: bool = False) -> None:
        self.bag = bag
        self.values: list[bytes] = []
        self.read_bytes = self.written_bytes = 0

    def read(self) -> Any:
        """As Beam's: the value or None; of a bag all values."""
        self.read_bytes += sum(map(len, self.values))
        return list(self.values) if self.bag else next(iter(self.values), None)

    def write(self, value: bytes) -> None:
        """Put a value in its place."""
        self.written_bytes += len(value)
        self.values = [value]

    def add(self, value: bytes) -> None:
        """Put one more in."""
        self.written_bytes += len(value)
        self.values.append(value)

    def clear(self) -> None:
        """Take all out."""
        self.values = []


class Timer:
    """A timer that remembers when it is due."""

    due: Timestamp | None = None

    def set(self, when: Timestamp) -> None:
        """Set it."""
        self.due = when

    def clear(self) -> None:
        """Forget it."""
        self.due = None


class WholeShard:
    """The form before the log: one value, read, compared, and written whole at each touch."""

    def __init__(self, base: Cell, log: Cell, mark: Cell) -> None:
        del log, mark
        self._cell = base
        self._state: bytes | None = base.read()
        self.digest = None if self._state is None else xxh3_64_intdigest(self._state)

    def read(self, fleet: Fleet) -> int:
        """Fill a new fleet."""
        assert self._state is not None
        return decode_fleet(self._state, fleet)

    def write(self, fleet: Fleet) -> int:
        """Write it whole."""
        state = encode_fleet(fleet)
        self._cell.write(state)
        return xxh3_64_intdigest(state)


class Stream:
    """Readings of devices that report in turn, each once a minute.

    Args:
        devices: Number of devices.
    """

    def __init__(self, devices: int) -> None:
        self.devices, self.sent = devices, 0
        self._random = np.random.default_rng(1)
        names = [f"dev-{number:05d}" for number in range(devices)]
        self._ids = pa.array(names).dictionary_encode().dictionary
        self._level = self._random.normal(20, 3, devices)
        contract = arrow_schema(load_contract("room").record("reading"))
        self._schema = pa.schema([f for f in contract if f.name not in ("verdict", "score")])

    def next(self, rows: int) -> tuple[int, pa.RecordBatch]:
        """The next rows, and how far the stream has come with them."""
        order = self.sent + np.arange(rows)
        self.sent += rows
        event_time = T0 + order * CADENCE // self.devices
        columns = self._columns(order % self.devices, event_time)
        arrays = [
            columns[f.name].cast(f.type) if f.name in columns else pa.nulls(rows, f.type)
            for f in self._schema
        ]
        return int(event_time[-1]), pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _columns(self, device: NDArray[Any], event_time: NDArray[Any]) -> dict[str, pa.Array]:
        rows, random = len(device), self._random
        temperature = self._level[device] + np.sin(event_time / 4e10)
        return {
            "device_id": self._ids.take(pa.array(device)),
            "event_time": pa.array(event_time),
            "reading_id": pa.array(random.integers(-(2**63), 2**63 - 1, rows)),
            "arrival_time": pa.array(event_time + 400_000),
            "source": pa.array(["kinesis:telemetry"] * rows),
            "position": pa.array([f"shardId-000000000003:496{at:053d}" for at in event_time]),
            "site": pa.array([f"hall-{number % 40:02d}" for number in device]),
            "latitude": pa.array(47.0 + device % 40 / 100),
            "longitude": pa.array(7.4 + device % 40 / 100),
            "model": pa.array(["TH-1"] * rows),
            "known": pa.array([True] * rows),
            "temperature": pa.array(np.round(temperature + random.normal(0, 0.1, rows), 2)),
            "humidity": pa.array(np.round(50 + random.normal(0, 0.5, rows), 1)),
            "pressure": pa.array(np.round(1013 + random.normal(0, 0.2, rows), 1)),
        }


class Cost(NamedTuple):
    """What a reading costs the Watch step.

    Args:
        written: Bytes of state.
        read: Bytes of state.
        cpu: Microseconds.
        touches: Touches of state, timers with them.
    """

    written: float
    read: float
    cpu: float
    touches: float


class Shard:
    """One shard of the streaming job with its state.

    Args:
        settings: Of the fleet.
        state: A fleet's bytes to begin with.
        form: `FleetLog`, or `WholeShard`.
    """

    def __init__(self, settings: watch.FleetSettings, state: bytes, form: type[Any]) -> None:
        self.cells = Cell(), Cell(bag=True), Cell()
        self.cells[0].values = [state]
        self.due, self.form = Timer(), form
        self.watch = watch.WatchShard(settings, KnownFiles(time.monotonic), 1)
        self.watch.setup()
        self.touches, self.cpu = 0, 0.0

    def touch(self, stream: int, batch: pa.RecordBatch) -> None:
        """Give it a batch, and let the timers fire that are due then."""
        with patch.object(watch, "FleetLog", self.form):
            self._spend(self.watch.process((0, (stream, batch)), *self.cells, self.due, Timer()))
            while (when := self.due.due) is not None and when.micros <= stream:
                self._spend(self.watch.release(0, when, *self.cells, self.due))

    def _spend(self, outputs: Iterable[Any]) -> None:
        start = time.process_time()
        for _ in outputs:
            pass
        self.cpu += time.process_time() - start
        self.touches += 1

    def forget(self) -> None:
        """Count from here on."""
        self.touches, self.cpu = 0, 0.0
        for cell in self.cells:
            cell.read_bytes = cell.written_bytes = 0

    def cost(self, readings: int) -> Cost:
        """What each of the readings cost since."""
        written = sum(cell.written_bytes for cell in self.cells)
        read = sum(cell.read_bytes for cell in self.cells)
        each = (written, read, self.cpu * 1e6, self.touches)
        return Cost(*(total / readings for total in each))


def warm(settings: watch.FleetSettings, devices: int) -> tuple[Stream, bytes]:
    """A fleet whose models are warm, as bytes, and the stream that goes on from it."""
    stream, fleet = Stream(devices), settings.new_fleet()
    for _ in range(WARM):
        now, batch = stream.next(devices)
        fleet.tell(now)
        fleet.observe(batch)
        fleet.advance(now)
    return stream, encode_fleet(fleet)


def measure(
    settings: watch.FleetSettings, stream: Stream, state: bytes, rows: int, form: type[Any]
) -> tuple[Cost, Shard]:
    """The cost of a reading, over one cycle of the log or long enough; and the shard after it."""
    shard = Shard(settings, state, form)
    stream.sent = WARM * stream.devices
    for _ in range(2):
        shard.touch(*stream.next(rows))
    shard.forget()
    base, readings, began = shard.cells[0].values[0], 0, stream.sent
    while shard.cells[0].values[0] is base or readings < 5 * rows or shard.cpu < ENOUGH:
        shard.touch(*stream.next(rows))
        readings = stream.sent - began
        # A cycle that is not the first one would not be measured whole.
        if shard.cells[0].values[0] is not base and shard.cells[1].values:
            break
    return shard.cost(readings), shard


def main() -> None:
    """Measure and print, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="*", default=DEVICES)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    given = parser.parse_args()
    console = Console(width=120, highlight=False)
    settings = job.fleet_settings(load_contract("room"), settings_of({}))
    table = Table(title="A reading's cost, whole shard → log", box=box.MARKDOWN)
    for name in ("devices", "rows a touch", "bytes written", "bytes read", "CPU µs", "touches"):
        table.add_column(name, justify="right")
    for devices in given.devices:
        stream, state = warm(settings, devices)
        for rows in given.rows:
            with console.status(f"{devices} devices, {rows} rows a touch"):
                whole, _ = measure(settings, stream, state, rows, WholeShard)
                logged, _ = measure(settings, stream, state, rows, FleetLog)
            table.add_row(f"{devices:,}", f"{rows}", *_cells(whole, logged))
    console.print(table)


def _cells(whole: Cost, logged: Cost) -> Iterator[str]:
    for before, after in zip(whole[:3], logged[:3], strict=True):
        yield f"{before:,.0f} → {after:,.0f}"
    yield f"{logged.touches:.2f}"


if __name__ == "__main__":
    main()
