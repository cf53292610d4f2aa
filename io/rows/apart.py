"""SetApart: what follows runs by itself, and does not hold up what came before."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from eddyline.schemas.ipc import decode_batch, encode_batch


@dataclass
class SetApart(beam.PTransform):
    """Hand batches on to a stage of their own.

    An engine runs steps that only hand elements on as one: a service that is waited for at the end
    of them stops them all, the source and the detector too, and the incidents with them. Every
    engine begins a new stage at a step with state; Prism does not at a `Reshuffle` (2.77). Order is
    not kept. Meant for streams: a bounded run would move every row once more for nothing.

    Args:
        shards: Into how many parts, which are handed on at the same time. Prism (2.77) runs no more
            than 8 bundles at once, and so many that wait stop all others.
    """

    shards: int = 1

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards: {self.shards} is less than 1")

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        """Key by content, and go through a step with state."""
        handed: Any = (
            batches
            | "Key" >> beam.Map(_keyed, self.shards).with_output_types(tuple[int, bytes])
            | "Hand on" >> beam.ParDo(_HandOn()).with_output_types(pa.RecordBatch)
        )
        return handed


def _keyed(batch: pa.RecordBatch, shards: int) -> tuple[int, bytes]:
    record = encode_batch(batch)
    return zlib.crc32(record) % shards, record


class _HandOn(beam.DoFn):
    """Has a state for the stage's sake, and never touches it: that costs nothing."""

    NOTHING = ReadModifyWriteStateSpec("apart_nothing", BytesCoder())

    def process(
        self,
        element: tuple[int, bytes],
        _nothing: Any = beam.DoFn.StateParam(NOTHING),
    ) -> Iterator[pa.RecordBatch]:
        yield decode_batch(element[1])
