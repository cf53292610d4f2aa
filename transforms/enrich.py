"""Enrich: what the registry knows of a device, beside each of its readings."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract, load_contract
from eddyline.transforms.channel_values import channel_values
from eddyline.transforms.counts import count
from eddyline.transforms.registry import PLACE, Registry, read_registry

LOG = logging.getLogger(__name__)
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


class RegistryFile:
    """A registry file that is read again when it changes.

    Guarantee: `current` is always a registry that was read whole. A file that has become wrong,
    unreadable or is gone keeps the last good one; that is logged and counted as `registry_refused`
    once a trouble, and looked at again until it is over.

    Args:
        path: Local, `s3://` or `gs://`.
        channels: The declared channels.
        refresh: Seconds between looks at the file.
        clock: Seconds that only grow.

    Raises:
        ValueError: The file is wrong at the start, when there is no last good one.
    """

    def __init__(
        self, path: str, channels: Sequence[str], refresh: float, clock: Callable[[], float]
    ) -> None:
        self.path, self.channels = path, tuple(channels)
        self.refresh, self.clock = refresh, clock
        self._looked = clock()
        self._version = FileSystems.last_updated(path)
        self._registry = self._read()
        self._trouble = ""

    def current(self) -> Registry:
        """The registry as the file was at the last look."""
        if self.clock() - self._looked >= self.refresh:
            self._looked = self.clock()
            self._look()
        return self._registry

    def _look(self) -> None:
        try:
            version = FileSystems.last_updated(self.path)
            if version != self._version:
                self._registry = self._read()
                self._version = version
                count("registry_reloaded")
            self._trouble = ""
        except (BeamIOError, OSError, ValueError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                count("registry_refused")
                LOG.warning("registry kept as it was: %s", error)

    def _read(self) -> Registry:
        with FileSystems.open(self.path) as file:
            return read_registry(self.path, file.read(), self.channels)


@dataclass
class Enrich(beam.PTransform):
    """Add what the device registry knows to each reading; see `enrich` and `RegistryFile`.

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
        self.file = (
            RegistryFile(self.path, self.channels, self.refresh, self.clock) if self.path else None
        )

    def process(self, readings: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Enrich one batch."""
        enriched = enrich(readings, self.file.current() if self.file else EMPTY, self.channels)
        count("unknown_device_readings", enriched.num_rows - enriched.column("known").true_count)
        yield enriched
