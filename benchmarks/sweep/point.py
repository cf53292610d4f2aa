"""One point of the sweep: Watch alone, in this process, at a steady rate."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from benchmarks.sweep.held_state import Keyed
from benchmarks.sweep.readings import START, Fleet
from eddyline.pipeline.job import fleet_settings
from eddyline.pipeline.settings import Settings
from eddyline.pipeline.sources import STREAM_BATCH
from eddyline.schemas.record import load_contract
from eddyline.transforms.devices.stream_time import KeyByShard
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.watch import WatchShard

BUNDLE = 0.25  # s of the stream in a bundle: what Kinesis's reader waits at the end of a shard
LEARN_ROWS, LEARN_BUNDLE = 500_000, 20_000
LEARN_ROUNDS = (12, 300)  # the fewest and the most readings that a device learns from
BEHIND = 1_000_000  # µs of the watermark behind the readings, beside the disorder


@dataclass(frozen=True)
class Point:
    """Where to measure.

    Args:
        devices: Of the fleet.
        cadence: Seconds between two readings of a device.
        shards: Of the fleet.
    """

    devices: int
    cadence: float
    shards: int

    @property
    def rate(self) -> float:
        """Readings a second."""
        return self.devices / self.cadence


@dataclass(frozen=True)
class Cost:
    """What a point costs, all for one reading but for `touches`.

    Args:
        readings: That were measured.
        micros: Processor time of splitting by shard and Watch, µs.
        touches: Times a second that an engine must give and take a shard's state: once for each
            bundle or firing of a timer with something for it.
        bytes_written: Of state.
        state: Bytes of state a device, as it is at the end.
    """

    readings: int
    micros: float
    touches: float
    bytes_written: float
    state: float


def measure(point: Point, budget: float) -> Cost:
    """Let the fleet learn, then measure bundles until all its state was written twice or so.

    Args:
        point: Where.
        budget: Processor seconds after which it is enough.
    """
    shards = Shards(point.shards)
    fleet = Fleet(load_contract("room"), point.devices, point.cadence)
    rounds = min(max(LEARN_ROWS // point.devices, LEARN_ROUNDS[0]), LEARN_ROUNDS[1])
    at_once = max(1, LEARN_BUNDLE // point.devices)
    for number in range(0, rounds, at_once):
        learnt = range(number, min(number + at_once, rounds))
        end = START + round(learnt.stop * point.cadence * 1e6)
        shards.bundle([pa.concat_batches([fleet.round(one) for one in learnt])], end)
    shards.forget()
    now = START + round(rounds * point.cadence * 1e6)
    bundles = touches = readings = 0
    begun = time.process_time()
    spent = 0.0
    for batch in fleet.bundles(rounds, BUNDLE):
        parts = [batch.slice(at, STREAM_BATCH) for at in range(0, batch.num_rows, STREAM_BATCH)]
        now += round(BUNDLE * 1e6)
        start = time.process_time()
        touches += shards.bundle(parts, now)
        spent += time.process_time() - start
        bundles, readings = bundles + 1, readings + batch.num_rows
        if readings >= 3 * point.devices or time.process_time() - begun > budget:
            break
    return Cost(
        readings,
        1e6 * spent / readings,
        touches / (bundles * BUNDLE),
        shards.written / readings,
        shards.state_bytes() / point.devices,
    )


class Shards:
    """Watch's two steps with the state of every shard.

    Args:
        shards: How many.
    """

    def __init__(self, shards: int) -> None:
        settings = Settings(source="kinesis:bench", shards=shards)
        files = KnownFiles(time.monotonic, "", "", 60.0, 60.0)
        self._key = KeyByShard(shards)
        self._watch = WatchShard(fleet_settings(load_contract("room"), settings), files, shards)
        self._key.setup()
        self._watch.setup()
        self._disorder = round(settings.disorder * 1_000_000)
        self._keyed: dict[int, Keyed] = {}
        self.written = 0

    def bundle(
        self,
        batches: list[pa.RecordBatch],
        now: int,
        take: Callable[[pa.RecordBatch], None] = lambda _: None,
    ) -> int:
        """Take one bundle of the source; the (shard, bundle) pairs that touched state.

        Args:
            batches: What came in it.
            now: Event time at its end, microseconds.
            take: Gets the scored readings that leave.
        """
        given: list[Any] = []
        self._key.start_bundle()
        fed: defaultdict[int, list[Any]] = defaultdict(list)
        for batch in batches:
            self._collect(self._key.process(batch), fed)
        self._collect(self._key.finish_bundle(), fed)
        for shard, elements in fed.items():
            keyed = self._of(shard)
            for element in elements:
                given += keyed.process(element)
            self.written += keyed.commit()
        watermark = Timestamp(micros=now - self._disorder - BEHIND)
        fired = 0
        for shard, keyed in self._keyed.items():
            released = keyed.advance(shard, watermark)
            if released is not None:
                given += released
                self.written += keyed.commit()
                fired += 1
        for output in given:
            if isinstance(output, TimestampedValue):  # the main output, and not a tagged one
                take(output.value)
        return len(fed) + fired

    def forget(self) -> None:
        """Begin to count anew."""
        self.written = 0

    def state_bytes(self) -> int:
        """Of all shards, as they are now."""
        return sum(keyed.size() for keyed in self._keyed.values())

    def _of(self, shard: int) -> Keyed:
        if shard not in self._keyed:
            self._keyed[shard] = Keyed(self._watch)
        return self._keyed[shard]

    @staticmethod
    def _collect(given: Any, fed: defaultdict[int, list[Any]]) -> None:
        for output in given or ():
            element = getattr(output, "value", output)
            fed[element[0]].append(element)
