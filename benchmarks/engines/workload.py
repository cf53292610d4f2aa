"""The workload: what a fleet sends, as records of a Kinesis stream, made before anything runs."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

RAISED = 12.0  # °C that a fault adds
ON_ITS_WAY = 0.05  # s from a reading's event time to its arrival


class Workload(msgspec.Struct, frozen=True):
    """What is sent.

    Args:
        readings: Of all devices together; rounded down to whole rounds of the fleet.
        devices: Of the fleet.
        cadence: Seconds between two readings of a device.
        per_message: Readings in a message: 1 is a device that sends by itself, more is a gateway
            that sends the newest reading of each device behind it as one JSON array.
        shards: Of the stream.
        faulty: Share of the devices that have a fault, one after the other.
        fault_from: Part of the whole time before the first fault.
        fault_seconds: How long each lasts.
        seed: Of everything random.

    Raises:
        ValueError: A number makes no sense.

    Example:
        >>> Workload(readings=2_500, devices=1_000).seconds
        10.0
    """

    readings: int
    devices: int = 1_000
    cadence: float = 5.0
    per_message: int = 1
    shards: int = 16
    faulty: float = 0.05
    fault_from: float = 0.3
    fault_seconds: float = 60.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.readings >= self.devices >= self.per_message >= 1:
            raise ValueError("needed: readings >= devices >= per_message >= 1")
        if self.devices % self.per_message:
            raise ValueError(f"{self.devices} devices do not fill gateways of {self.per_message}")

    @property
    def rounds(self) -> int:
        """Readings of each device."""
        return self.readings // self.devices

    @property
    def total(self) -> int:
        """Readings that are sent."""
        return self.rounds * self.devices

    @property
    def messages(self) -> int:
        """Messages that are sent."""
        return self.total // self.per_message

    @property
    def seconds(self) -> float:
        """From the first event time to the last."""
        return self.rounds * self.cadence


class Record(NamedTuple):
    """One record of the stream: where, when, and what a message's `Data` and key are."""

    shard: int
    arrival: float
    data: bytes
    key: str


@dataclass
class Shard:
    """A shard's records in the order of their arrival.

    Args:
        arrivals: Seconds since the epoch.
        records: Each as an entry of `Records` in an answer of GetRecords, ready to be sent.
        sizes: Bytes of all `data` before each record, and of all.
    """

    arrivals: NDArray[np.float64]
    records: list[bytes]
    sizes: NDArray[np.int64]


FIRST_NUMBER = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898


def records(workload: Workload, start: float) -> Iterator[Record]:
    """The records, round by round; within a round by gateway.

    Args:
        workload: What is sent.
        start: Event time of the first round, seconds since the epoch.

    Example:
        >>> first = next(records(Workload(readings=4, devices=4, per_message=2), start=0.0))
        >>> first.key, first.data.count(b"device_id")
        ('gateway-0', 2)
    """
    random = np.random.default_rng(workload.seed)
    devices, gateways = workload.devices, workload.devices // workload.per_message
    level = random.normal(20, 3, devices)
    # A device that sends by itself has its own moment in the round; those of a gateway share one.
    moment = np.repeat(random.uniform(0, workload.cadence, gateways), workload.per_message)
    faults = _faults(workload)
    prefix = "device" if workload.per_message == 1 else "gateway"
    for number in range(workload.rounds):
        at = start + number * workload.cadence + moment
        temperature = level + np.sin(number / 700) + random.normal(0, 0.1, devices)
        begins = faults + start
        temperature += RAISED * ((at >= begins) & (at < begins + workload.fault_seconds))
        humidity = 50 + random.normal(0, 0.5, devices)
        pressure = 1013 + random.normal(0, 0.2, devices)
        rows = zip(at, temperature, humidity, pressure, strict=True)
        readings = [
            f'{{"device_id":"dev-{d:06d}","timestamp":{t:.3f},"temperature":{a:.2f},'
            f'"humidity":{b:.1f},"pressure":{c:.1f}}}'
            for d, (t, a, b, c) in enumerate(rows)
        ]
        for gateway in range(gateways):
            first = gateway * workload.per_message
            own = readings[first : first + workload.per_message]
            data = own[0] if workload.per_message == 1 else f"[{','.join(own)}]"
            arrival = float(at[first]) + ON_ITS_WAY
            yield Record(gateway % workload.shards, arrival, data.encode(), f"{prefix}-{gateway}")


def _faults(workload: Workload) -> NDArray[np.float64]:
    """Seconds from the start to each device's fault; infinite for those that have none."""
    begins = np.full(workload.devices, np.inf)
    number = round(workload.faulty * workload.devices)
    last = max(0.0, workload.seconds - workload.fault_seconds)
    first = min(workload.fault_from * workload.seconds, last)
    chosen = np.linspace(0, workload.devices - 1, number).astype(int)
    begins[chosen] = np.linspace(first, last, number)
    return begins


def stream(workload: Workload, start: float) -> list[Shard]:
    """The shards of the stream, encoded."""
    parts: list[list[Record]] = [[] for _ in range(workload.shards)]
    for record in records(workload, start):
        parts[record.shard].append(record)
    shards: list[Shard] = []
    for part in parts:
        part.sort(key=lambda record: record.arrival)
        sizes = np.cumsum([0, *(len(record.data) for record in part)])
        encoded = [_encoded(record, FIRST_NUMBER + at) for at, record in enumerate(part)]
        shards.append(Shard(np.array([record.arrival for record in part]), encoded, sizes))
        part.clear()
    return shards


def _encoded(record: Record, number: int) -> bytes:
    return (
        f'{{"SequenceNumber":"{number}","ApproximateArrivalTimestamp":{record.arrival:.3f},'
        f'"Data":"{b64encode(record.data).decode()}","PartitionKey":"{record.key}"}}'
    ).encode()
