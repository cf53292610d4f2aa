"""Enrich: what the registry knows of a device, beside each of its readings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract, load_contract
from eddyline.transforms.counts import count
from eddyline.transforms.devices.channel_values import channel_values
from eddyline.transforms.devices.registry import PLACE, Registry, read_registry
from eddyline.transforms.reloaded import Reloaded

EMPTY = read_registry("none.csv", b"device_id\n", [])
# The columns that are added depend on no channel, so any contract tells their types.
_READING = arrow_schema(load_contract("room").record("reading"))


def enrich(readings: pa.RecordBatch, registry: Registry, channels: Sequence[str]) -> pa.RecordBatch:
    """The readings with site, latitude, longitude, model, `known` and `beyond_limits`.

    Guarantee: every row stays, in its order. A device that the registry has not is kept with
    `known` false and nulls.

    Args:
        readings: A batch with `device_id` and the channels.
        registry: The registry.
        channels: Channel names, in the registry's order.
    """
    encoded = readings.column("device_id").dictionary_encode()
    rows = np.array([registry.row.get(d, -1) for d in encoded.dictionary.to_pylist()], np.int64)
    row = rows[encoded.indices.to_numpy()] if len(rows) else rows
    unknown = row < 0
    places = registry.places.take(pa.array(row, mask=unknown))
    added = {
        **{name: places.column(name) for name in PLACE.names},
        "known": pa.array(~unknown),
        "beyond_limits": _beyond(readings, registry, row, channels),
    }
    for name, column in added.items():
        readings = readings.append_column(_READING.field(name), column)
    return readings


def _beyond(
    readings: pa.RecordBatch, registry: Registry, row: Any, channels: Sequence[str]
) -> pa.Array:
    """A list of channels for each reading outside its model's limits; null for the others."""
    beyond: list[list[str] | None] = [None] * len(row)
    known = np.flatnonzero(row >= 0)
    if len(known):
        values = channel_values(readings, channels)[known]
        outside = (values < registry.low[row[known]]) | (values > registry.high[row[known]])
        for at in np.flatnonzero(outside.any(axis=1)):
            beyond[known[at]] = [
                channels[column] for column in np.flatnonzero(outside[at]).tolist()
            ]
    return pa.array(beyond, _READING.field("beyond_limits").type)


@dataclass
class Enrich(beam.PTransform):
    """Add what the device registry knows to each reading; see `enrich` and `Reloaded`.

    Counters: `unknown_device_readings`, `registry_reloaded`, `registry_refused`.

    Args:
        contract: The declared channels.
        path: The registry file, or empty for none: then every device is unknown.
        refresh: Seconds between looks at the file.
        clock: Seconds that only grow, such as `time.monotonic`.
    """

    contract: Contract
    clock: Callable[[], float]
    path: str = ""
    refresh: float = 60.0

    def __post_init__(self) -> None:
        super().__init__()
        if self.refresh < 0:
            raise ValueError(f"refresh must not be negative: {self.refresh}")

    def expand(
        self, readings: beam.PCollection[pa.RecordBatch]
    ) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        channels = tuple(channel.name for channel in self.contract.channels)
        enriched: Any = readings | "Enrich batch" >> beam.ParDo(
            EnrichBatch(channels, self.path, self.refresh, self.clock)
        ).with_output_types(pa.RecordBatch)
        return enriched


class EnrichBatch(beam.DoFn):
    """Wires `enrich` to the registry file."""

    def __init__(
        self, channels: tuple[str, ...], path: str, refresh: float, clock: Callable[[], float]
    ) -> None:
        self.channels, self.path, self.refresh, self.clock = channels, path, refresh, clock

    def setup(self) -> None:
        """Read the registry once a worker."""
        parse = partial(read_registry, channels=self.channels)
        self.file = (
            Reloaded(self.path, parse, self.refresh, self.clock, "registry") if self.path else None
        )

    def process(self, readings: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Enrich one batch."""
        enriched = enrich(readings, self.file.current() if self.file else EMPTY, self.channels)
        count("unknown_device_readings", enriched.num_rows - enriched.column("known").true_count)
        yield enriched
