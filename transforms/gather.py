"""Gather: single messages into batches, inside a bundle."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.windowed_value import WindowedValue

from eddyline.schemas.message import Message, message_batch

MAX_BYTES = 8 * 2**20


class GatherBundle(beam.DoFn):
    """The bundle's messages in batches of at most `rows`, or 8 MiB of payload.

    Guarantee: every message is in exactly one batch, in the bundle's order; none waits for a later
    bundle. A batch is stamped with its earliest message's time, so that no watermark passes it.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def start_bundle(self) -> None:
        """Begin with nothing gathered."""
        self._clear()

    def process(self, message: Message, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        """Keep the message; a full batch leaves."""
        self._messages.append(message)
        self._bytes += len(message.payload)
        self._earliest = min(self._earliest, timestamp)
        if len(self._messages) >= self.rows or self._bytes >= MAX_BYTES:
            yield TimestampedValue(*self._flush())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """What is left leaves with the bundle."""
        if self._messages:
            yield WindowedValue(*self._flush(), (GlobalWindow(),))

    def _flush(self) -> tuple[pa.RecordBatch, Any]:
        batch, time = message_batch(self._messages), self._earliest
        self._clear()
        return batch, time

    def _clear(self) -> None:
        self._messages: list[Message] = []
        self._bytes = 0
        self._earliest: Any = GlobalWindow().max_timestamp()


@dataclass
class Gather(beam.PTransform):
    """Gather single messages into batches of at most `rows`; see `GatherBundle`."""

    rows: int = 500

    def __post_init__(self) -> None:
        super().__init__()
        if self.rows < 1:
            raise ValueError(f"rows must be at least 1, not {self.rows}")

    def expand(self, messages: beam.PCollection[Message]) -> beam.PCollection[pa.RecordBatch]:
        """Wire it."""
        batches: Any = messages | "Gather bundle" >> beam.ParDo(
            GatherBundle(self.rows)
        ).with_output_types(pa.RecordBatch)
        return batches
