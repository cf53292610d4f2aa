"""Enriched readings of a steady fleet, bundle by bundle."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.schemas.message import MESSAGE_SCHEMA
from eddyline.schemas.record import Contract
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import PayloadParser
from eddyline.transforms.enrich import EMPTY, enrich

START = 1_767_592_800_000_000  # 2026-01-05T06:00Z, µs


class Fleet:
    """Devices that report at one cadence, each at its own moment of the round.

    Args:
        contract: The declared channels.
        devices: How many.
        cadence: Seconds between two readings of a device.
        seed: Of everything random.
    """

    def __init__(self, contract: Contract, devices: int, cadence: float, seed: int = 1) -> None:
        self.contract, self.devices, self.cadence = contract, devices, cadence
        self._random = np.random.default_rng(seed)
        self._moment = np.sort(self._random.uniform(0, cadence, devices))
        self._level = self._random.normal(20, 3, devices)
        # A device's place in the round says nothing of its id, nor the id of the place.
        self._names = pa.array([f"dev-{d:06d}" for d in self._random.permutation(devices)])
        self._ids = 0
        self._form = self._one()

    def round(self, number: int) -> pa.RecordBatch:
        """All devices' readings of one round, in the order of their time."""
        return self._readings(np.arange(self.devices), np.full(self.devices, number))

    def bundles(self, first_round: int, seconds: float) -> Iterator[pa.RecordBatch]:
        """What comes in each bundle from that round on, without an end."""
        begin = first_round * self.cadence
        while True:
            device, number = self._between(begin, begin + seconds)
            begin += seconds
            yield self._readings(device, number)

    def _between(self, begin: float, end: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rounds = range(int(begin // self.cadence), int(end // self.cadence) + 1)
        devices: list[NDArray[np.int64]] = []
        numbers: list[NDArray[np.int64]] = []
        for number in rounds:
            at = number * self.cadence
            first, last = np.searchsorted(self._moment, [begin - at, end - at])
            devices.append(np.arange(first, last))
            numbers.append(np.full(last - first, number))
        return np.concatenate(devices), np.concatenate(numbers)

    def _readings(self, device: NDArray[np.int64], number: NDArray[np.int64]) -> pa.RecordBatch:
        rows, schema = len(device), self._form.schema
        time = START + np.round((number * self.cadence + self._moment[device]) * 1e6).astype(int)
        values = {
            "temperature": self._level[device] + self._random.normal(0, 0.1, rows).round(2),
            "humidity": 50 + self._random.normal(0, 0.5, rows).round(1),
            "pressure": 1013 + self._random.normal(0, 0.2, rows).round(1),
        }
        own: dict[str, pa.Array] = {
            "device_id": self._names.take(pa.array(device)),
            "event_time": pa.array(time).cast(schema.field("event_time").type),
            "arrival_time": pa.array(time + 50_000).cast(schema.field("arrival_time").type),
            "reading_id": pa.array(np.arange(self._ids, self._ids + rows)),
        }
        self._ids += rows
        own |= {name: pa.array(column) for name, column in values.items()}
        # The rest is as in a reading that came through Decode and Enrich.
        same = pa.array(np.zeros(rows, int))
        columns = [
            own[f.name].cast(f.type) if f.name in own else self._form.column(f.name).take(same)
            for f in schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _one(self) -> pa.RecordBatch:
        payload = (
            f'{{"device_id":"dev","timestamp":{START / 1e6},"temperature":20.0,"humidity":50.0,'
            '"pressure":1013.0}'
        ).encode()
        message = {
            "payload": payload,
            "attributes": [("partition_key", "dev")],
            "arrival_time": START,
            "source": "kinesis:bench/shardId-000000000000",
            "position": "0" * 56,
        }
        batch = pa.RecordBatch.from_pylist([message], schema=MESSAGE_SCHEMA)
        [decoded] = Decoder(self.contract, PayloadParser(self.contract)).decode(batch)
        return enrich(decoded.readings, EMPTY, [c.name for c in self.contract.channels])
