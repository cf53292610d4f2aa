"""The job: its table of contents."""

import time
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa

from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import make_detector
from eddyline.io.endpoint.settings import endpoint_of
from eddyline.pipeline.alerting import delivery
from eddyline.pipeline.settings import Settings
from eddyline.schemas.record import Contract, load_contract
from eddyline.transforms.decode import Decode
from eddyline.transforms.decoding.event_time import TimeBounds, to_micros
from eddyline.transforms.enrich import Enrich
from eddyline.transforms.group_storms import GroupStorms
from eddyline.transforms.incidents.feedback import Feedback
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.infer import Infer
from eddyline.transforms.notify import Notify
from eddyline.transforms.summarize import Summarize
from eddyline.transforms.watch import FleetSettings, Watch

Batches = beam.PCollection[pa.RecordBatch]


class Outputs(NamedTuple):
    """What the job writes: one collection of batches a table of the lake."""

    readings: Batches
    minutes: Batches
    anomalies: Batches
    incidents: Batches
    deliveries: Batches
    dead_letters: Batches
    raw: Batches
    device_states: Batches


def build(
    messages: Batches, settings: Settings, *, streaming: bool, feedback: Batches | None = None
) -> Outputs:
    """Wire the job, from batches of messages to what is written.

    Args:
        messages: What devices send.
        settings: What to run.
        streaming: Whether the source does not end.
        feedback: What operators say of incidents, if they can.
    """
    contract = load_contract(settings.schema)
    decoded: Any = messages | "Decode" >> Decode(
        contract, settings.drop, _bounds(settings), settings.max_bytes
    )
    enriched = decoded.readings | "Enrich" >> Enrich(
        contract, time.monotonic, settings.devices, settings.registry_refresh
    )
    inferred: Any = None
    if settings.detector == "endpoint":
        inferred = enriched | "Infer" >> Infer(contract, endpoint_of(settings.endpoint))
        enriched = inferred.readings
    said: Any = None
    if feedback is not None:
        said = feedback | "Feedback" >> Feedback(contract, settings.shards, _bounds(settings))
    watched: Any = enriched | "Watch" >> Watch(
        fleet_settings(contract, settings),
        _known_files(settings),
        settings.shards,
        streaming,
        commands=said and said.commands,
        begin_with=settings.state,
        hand_over=settings.export_state,
    )
    minutes: Any = watched.unique | "Summarize" >> Summarize(
        contract, settings.allowed_lateness, settings.early, streaming
    )
    incidents: Any = watched.incidents | "Group storms" >> GroupStorms(
        contract,
        time.monotonic,
        settings.policy,
        settings.devices,
        settings.registry_refresh,
        round(settings.disorder * 1_000_000),
        streaming,
    )
    notified: Any = incidents | "Notify" >> Notify(delivery(settings), streaming)
    refused = [step for step in (decoded, inferred, said, notified) if step is not None]
    return Outputs(
        watched.scored,
        minutes,
        watched.anomalies,
        incidents,
        notified.deliveries,
        [step.dead_letters for step in refused] | "Dead letters" >> beam.Flatten(),
        messages,
        watched.states,
    )


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


def _known_files(settings: Settings) -> KnownFiles:
    return KnownFiles(
        time.monotonic,
        settings.devices,
        settings.policy,
        settings.registry_refresh,
        settings.policy_refresh,
    )


def _bounds(settings: Settings) -> TimeBounds:
    return TimeBounds(to_micros(settings.earliest), round(settings.future * 1_000_000))
