"""Run: the job from a source to its end, and what came out of it."""

import time
from dataclasses import dataclass
from functools import partial

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
)
from apache_beam.runners.runner import PipelineResult

from eddyline.io.durability import durability_of
from eddyline.io.files import matching_files
from eddyline.io.lake.write import create_tables
from eddyline.pipeline import job, sinks, sources
from eddyline.pipeline.alerting import open_policy
from eddyline.pipeline.settings import Settings
from eddyline.pipeline.sources import Read
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.alert_message import read_wording
from eddyline.transforms.counts import NAMESPACE, TALLY
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.fleet.state_file import check_states
from eddyline.transforms.reloaded import Reloaded


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Args:
        state: Beam's word, such as DONE or FAILED; RUNNING where the engine goes on without us.
        counts: The job's counters.
        seconds: From the start to the end.
    """

    state: str
    counts: dict[str, int]
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether it is done, or goes on."""
        return self.state in ("DONE", "RUNNING", "UNKNOWN")


@dataclass(frozen=True)
class Prepared:
    """A job that is wired and checked, and has touched nothing yet but the tables' places."""

    pipeline: beam.Pipeline
    offline: bool

    def run(self) -> Ended:
        """Run it until its source ends, or hand it to the engine."""
        start = time.monotonic()
        TALLY.clear()
        result = self.pipeline.run()
        if self.offline:
            return Ended("UNKNOWN", {}, time.monotonic() - start)
        state = str(result.wait_until_finish() or result.state)
        return Ended(state, _counts(result), time.monotonic() - start)


def prepare(settings: Settings, options: PipelineOptions, read: Read = sources.read) -> Prepared:
    """Check the settings against the world and wire the job.

    Args:
        settings: What to run.
        options: Beam's options; the runner should be named.
        read: Gives the batches of messages; the settings' source by default.

    Raises:
        FileNotFoundError: No file matches the source, or there is no such schema file.
        BeamIOError: There is no such registry, policy or state file.
        ValueError: A setting or schema is wrong.
    """
    standard = options.view_as(StandardOptions)
    streaming = bool(standard.streaming) or sources.is_stream(settings.source)
    standard.streaming = streaming
    if "prism" in (standard.runner or "").lower():
        # Prism splits a bundle that is slow for a moment and then runs one key in two bundles at a
        # time, each with empty state: readings were lost (2.77) and the job ended well.
        options.view_as(DebugOptions).add_experiment("prism_disable_sdf_split")
    offline = bool(options.view_as(TestOptions).dry_run)
    if not offline:
        _read_once(settings)
    if read is sources.read and not streaming and not offline:
        matching_files(settings.source)
    pipeline = beam.Pipeline(options=options)
    feedback = sources.read_feedback(pipeline, settings)
    outputs = job.build(read(pipeline, settings), settings, streaming=streaming, feedback=feedback)
    sinks.write(outputs, settings, streaming=streaming, durability=durability_of(standard.runner))
    if not offline:
        create_tables(settings.lake, sinks.lake_tables(settings))
    return Prepared(pipeline, offline)


def _read_once(settings: Settings) -> None:
    """What would fail in a worker fails here, in words: registry, policy, templates, states."""
    if settings.devices:
        channels = [channel.name for channel in load_contract(settings.schema).channels]
        parse = partial(read_registry, channels=channels)
        Reloaded(settings.devices, parse, settings.registry_refresh, time.monotonic, "registry")
    if settings.state:
        check_states(settings.state)
    read_wording(open_policy(settings.policy, settings.policy_refresh).current().messages)


def _counts(result: PipelineResult) -> dict[str, int]:
    counters = result.metrics().query()["counters"]
    return {
        # Flink knows no committed value.
        counter.key.metric.name: counter.attempted
        if counter.committed is None
        else counter.committed
        for counter in counters
        if counter.key.metric.namespace == NAMESPACE
    }
