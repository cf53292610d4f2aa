"""Replay: what a lake keeps of its messages, through the same job again."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import apache_beam as beam
import pyarrow as pa

from eddyline.io.lake.read import open_table, read_raw
from eddyline.pipeline.settings import Settings
from eddyline.pipeline.sources import FILE_BATCH, Batches, Read
from eddyline.schemas.message import MESSAGE_SCHEMA

STAGES = ("decode", "read")
"""Stages whose dead letters are messages: those of the others are rows, scores and alerts."""


def replay_of(
    lake: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    dead_letters: bool = False,
) -> Read:
    """A reader of a lake's messages that arrived from `start` to `end`, for `run`.

    Guarantee: the messages are as they came, with their source, position and arrival time, so the
    same settings give the same rows. Of dead letters it is the payload that was refused.

    Args:
        lake: The lake to read.
        start: Arrival time, inclusive, with a zone; None for the beginning.
        end: Arrival time, exclusive, with a zone; None for the end.
        dead_letters: Read the dead letters in place of all messages.
    """

    def read(pipeline: beam.Pipeline, settings: Settings) -> Batches:
        give = _dead_letters if dead_letters else read_raw
        rows = settings.batch or FILE_BATCH
        batches: Any = (
            pipeline
            | "Lake to replay" >> beam.Create([lake])
            | "Read again" >> beam.FlatMap(give, start, end, rows).with_output_types(pa.RecordBatch)
        )
        return batches

    return read


def _dead_letters(
    lake: str, start: datetime | None, end: datetime | None, rows: int
) -> Iterator[pa.RecordBatch]:
    letters = open_table(lake, "dead_letters").to_pyarrow_table(
        columns=MESSAGE_SCHEMA.names, filters=[("stage", "in", STAGES)]
    )
    order = [(name, "ascending") for name in ("arrival_time", "source", "position")]
    ordered = letters.cast(MESSAGE_SCHEMA).sort_by(order)
    arrival = ordered.column("arrival_time").to_pylist()
    wanted = [(not start or time >= start) and (not end or time < end) for time in arrival]
    yield from ordered.filter(pa.array(wanted, pa.bool_())).to_batches(max_chunksize=rows)
