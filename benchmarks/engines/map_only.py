"""The yardstick: a job that reads the stream and counts, on the same engine.

What it costs is what Beam, the engine and the source cost before anything is done with a message.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import PipelineOptions

from eddyline.pipeline import sources
from eddyline.pipeline.settings import Settings


class CountMessages(beam.DoFn):
    """Write for each message how long after its arrival it came here: seconds, 8 bytes each.

    The file's length tells how many came so far. Appending is one write a batch, so a reader sees
    whole messages.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def process(self, batch: pa.RecordBatch) -> Iterator[int]:
        """Count one batch."""
        arrival = batch.column("arrival_time").cast(pa.int64()).to_numpy() / 1e6
        with open(self.path, "ab") as file:  # noqa: PTH123 - once a batch
            file.write((time.time() - arrival).astype("<f8").tobytes())
        yield batch.num_rows


def map_only(settings: Settings, options: PipelineOptions, path: str) -> beam.Pipeline:
    """The job; it is not run."""
    # A worker of Flink's pool cannot import the benchmarks: they are no part of the package.
    import benchmarks.engines.map_only as this

    cloudpickle.register_pickle_by_value(this)
    pipeline = beam.Pipeline(options=options)
    _ = sources.read(pipeline, settings) | "Count messages" >> beam.ParDo(
        CountMessages(path)
    ).with_output_types(int)
    return pipeline


def counted(path: Path) -> int:
    """Messages that came so far."""
    return path.stat().st_size // 8 if path.exists() else 0


def latencies(path: Path, skip: int = 0) -> np.ndarray:
    """Seconds from each message's arrival to the count, without the first `skip`."""
    return np.fromfile(path, "<f8", offset=8 * skip)
