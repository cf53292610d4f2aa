"""The job: its table of contents."""

import time
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa

from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import make_detector
from eddyline.io.files import ReadFiles
from eddyline.io.lake.commit import Durability
from eddyline.io.lake.raw import RawZone
from eddyline.io.lake.tables import Table, Target
from eddyline.io.lake.write import WriteLake
from eddyline.io.pubsub import ReadPubSub
from eddyline.pipeline.settings import Settings
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.record import Contract, load_contract
from eddyline.transforms.decode import Decode
from eddyline.transforms.enrich import Enrich
from eddyline.transforms.event_time import TimeBounds, to_micros
from eddyline.transforms.gather import Gather
from eddyline.transforms.summarize import Summarize
from eddyline.transforms.watch import FleetSettings, Watch

Batches = beam.PCollection[pa.RecordBatch]

# A stream must not wait long for its batch; a file has its messages at hand.
STREAM_BATCH, FILE_BATCH = 500, 5_000


class Outputs(NamedTuple):
    """What the job writes: one collection of batches a table of the lake."""

    readings: Batches
    minutes: Batches
    anomalies: Batches
    dead_letters: Batches
    raw: Batches


def build(messages: Batches, settings: Settings, *, streaming: bool) -> Outputs:
    """Wire the job, from batches of messages to what is written."""
    contract = load_contract(settings.schema)
    decoded: Any = messages | "Decode" >> Decode(
        contract, settings.drop, _bounds(settings), settings.max_bytes
    )
    enriched = decoded.readings | "Enrich" >> Enrich(
        contract, time.monotonic, settings.devices, settings.registry_refresh
    )
    watched: Any = enriched | "Watch" >> Watch(
        fleet_settings(contract, settings), settings.shards, streaming
    )
    minutes: Any = watched.unique | "Summarize" >> Summarize(
        contract, settings.allowed_lateness, settings.early, streaming
    )
    return Outputs(watched.scored, minutes, watched.anomalies, decoded.dead_letters, messages)


def read(pipeline: beam.Pipeline, settings: Settings) -> Batches:
    """Read the source that the settings name, as batches of messages."""
    if settings.source.startswith("pubsub:"):
        subscription = settings.source.removeprefix("pubsub:")
        gather = Gather(settings.batch or STREAM_BATCH)
        return pipeline | "Read" >> ReadPubSub(subscription) | "Gather" >> gather
    return pipeline | "Read" >> ReadFiles(settings.source, settings.batch or FILE_BATCH)


def write(outputs: Outputs, settings: Settings, *, streaming: bool, durability: Durability) -> Any:
    """Write the outputs into the lake; gives the files that were committed."""
    tables = lake_tables(settings)
    return {table.name: getattr(outputs, table.name) for table in tables} | "Lake" >> WriteLake(
        settings.lake,
        tables,
        streaming=streaming,
        durability=durability,
        shards=settings.lake_shards,
        flush_seconds=settings.flush_seconds,
    )


def lake_tables(settings: Settings) -> list[Target]:
    """The tables of the lake, and the raw zone unless the settings leave it out."""
    contract = load_contract(settings.schema)

    def table(name: str, record: Any, time_column: str) -> Target:
        return Table(name, arrow_schema(contract.record(record)), time_column)

    tables = [
        table("readings", "reading", "event_time"),
        table("minutes", "minute", "minute_start"),
        table("anomalies", "anomaly", "event_time"),
        table("dead_letters", "dead_letter", "arrival_time"),
    ]
    return [*tables, RawZone(avro_schema(contract.record("message")))] if settings.raw else tables


def fleet_settings(contract: Contract, settings: Settings) -> FleetSettings:
    """What every shard's fleet is made of."""
    channels = tuple(
        Channel(c.name, c.minimum, c.maximum, c.kind, c.unit) for c in contract.channels
    )
    return FleetSettings(
        contract,
        make_detector(settings.detector, channels, **settings.detector_options),
        disorder=round(settings.disorder * 1_000_000),
        remember=settings.remember,
    )


def _bounds(settings: Settings) -> TimeBounds:
    return TimeBounds(to_micros(settings.earliest), round(settings.future * 1_000_000))
