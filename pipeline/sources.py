"""Sources: what `--source` and `--feedback` name, read as batches of messages."""

from collections.abc import Callable

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import StandardOptions

from eddyline.io.durability import Durability, durability_of
from eddyline.io.files import ReadFiles
from eddyline.io.pubsub.dataflow import ReadPubSub
from eddyline.io.sources.read import Pace, ReadSource
from eddyline.io.sources.table import source_of
from eddyline.io.sources.until import Until
from eddyline.pipeline.settings import Settings
from eddyline.schemas.record import load_contract
from eddyline.transforms.gather import Gather

Batches = beam.PCollection[pa.RecordBatch]
Read = Callable[[beam.Pipeline, Settings], Batches]

# A stream's batch is what a poll found: it waits for nothing, and each shard of the job is touched
# once for it, which is what a backlog costs most. A file has its messages at hand.
STREAM_BATCH, FILE_BATCH = 30_000, 5_000
WATCHED_ALLOWANCE = 3_600.0
"""Seconds that a reading may be older than its watched file, to be in time for its minute."""


def is_stream(words: str) -> bool:
    """Whether a source does not end: files do.

    Example:
        >>> is_stream("kinesis:telemetry"), is_stream("in/*.jsonl")
        (True, False)
    """
    return source_of(words) is not None


def read(pipeline: beam.Pipeline, settings: Settings) -> Batches:
    """What devices send."""
    return _batches(pipeline, "Read", settings.source, settings)


def read_feedback(pipeline: beam.Pipeline, settings: Settings) -> Batches | None:
    """What operators say, if the settings name where."""
    if not settings.feedback:
        return None
    return _batches(pipeline, "Read feedback", settings.feedback, settings)


def _batches(pipeline: beam.Pipeline, label: str, words: str, settings: Settings) -> Batches:
    rows = settings.batch or STREAM_BATCH
    runner = pipeline.options.view_as(StandardOptions).runner or ""
    if words.startswith("pubsub:") and "dataflow" in runner.lower():
        # Dataflow's own read; everywhere else Beam's would acknowledge before it processes.
        messages = pipeline | label >> ReadPubSub(words.removeprefix("pubsub:"))
        return messages | label.replace("Read", "Gather") >> Gather(rows)
    return pipeline | label >> _source(words, rows, settings, durability_of(runner))


def _source(words: str, rows: int, settings: Settings, durability: Durability) -> beam.PTransform:
    options, allowance = settings.source_options, settings.disorder
    if words.startswith("watch:"):
        # What a file holds is as old as the time that it was written for.
        options, allowance = {"schema": settings.schema, **options}, WATCHED_ALLOWANCE
    source = source_of(words, settings.begin, rows, options)
    if source is not None:
        until = Until(messages=settings.stop_messages, file=settings.stop_file)
        return ReadSource(source, Pace(allowance=allowance), until, durability=durability)
    return ReadFiles(words, settings.batch or FILE_BATCH, load_contract(settings.schema))
