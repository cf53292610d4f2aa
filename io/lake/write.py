"""WriteLake: batches of several tables into the lake, each row exactly once."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import IOTypeHints

from eddyline.io.durability import Durability
from eddyline.io.lake.commit import CommittedFile, commit_files
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.gather import Gather
from eddyline.io.lake.gather_bundle import GatherBundle
from eddyline.io.lake.patience import PATIENCE, Patience
from eddyline.io.lake.tables import Target, conform
from eddyline.schemas.ipc import encode_batch

MEBIBYTE = 1 << 20


@dataclass
class WriteLake(beam.PTransform):
    """Write record batches into Delta tables and the raw zone.

    Exactly once: each row of the input is in its table once when the job has ended, and never more
    than once while it runs, under retried bundles, killed workers and restored checkpoints. A
    reader sees whole commits only. Rows are visible after `flush_seconds` and a commit (on Flink:
    and a checkpoint). Windows, lateness and order of the input do not matter; batches without rows
    are dropped.

    Attributes:
        lake: A directory, `s3://bucket/path` or `gs://bucket/path`.
        targets: The tables, and the raw zone, that batches may be for.
        streaming: True for an unbounded run: files are also written by time.
        durability: When a number in state is safe: "checkpoint" on Flink, else "bundle"; of a
            bounded run always with its bundle.
        shards: Writers a table, when streaming; fixed for a running job's state.
        flush_seconds: The longest a row waits for its file (streaming).
        flush_bytes: Arrow bytes a writer gathers for one file; also what it holds in memory.
        patience: Seconds for which a write outlasts a lake that refuses it (full, denied, away)
            until its bundle fails.

    Raises:
        ValueError: A setting out of range, two targets of one name, or batches for an unknown one.
    """

    lake: str
    targets: Sequence[Target]
    streaming: bool = False
    durability: Durability = "bundle"
    shards: int = 4
    flush_seconds: float = 4.0
    flush_bytes: int = 16 * MEBIBYTE
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards: {self.shards} is less than 1")
        if self.flush_seconds <= 0:
            raise ValueError(f"flush_seconds: {self.flush_seconds} is not above 0")
        if self.flush_bytes < 1:
            raise ValueError(f"flush_bytes: {self.flush_bytes} is less than 1")
        if self.patience < 0:
            raise ValueError(f"patience: {self.patience} is less than 0")
        if self.durability not in ("bundle", "checkpoint"):
            raise ValueError(f"durability: {self.durability!r} is neither bundle nor checkpoint")
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError(f"targets: two of one name in {names}")

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for a dict of collections and would warn of ours."""
        return IOTypeHints.empty()

    def expand(
        self, batches: Mapping[str, beam.PCollection[pa.RecordBatch]]
    ) -> beam.PCollection[CommittedFile]:
        """Shard, gather into files, commit; the output tells each committed file."""
        targets = {target.name: target for target in self.targets}
        unknown = sorted(set(batches) - set(targets))
        if unknown:
            raise ValueError(f"batches for {unknown}, and targets only for {sorted(targets)}")
        gathered = self._gather_in_state if self.streaming else self._gather_in_bundle
        return commit_files(
            gathered(batches, targets),
            self.lake,
            targets,
            streaming=self.streaming,
            durability=self.durability,
            patience=self.patience,
        )

    def _gather_in_state(
        self,
        batches: Mapping[str, beam.PCollection[pa.RecordBatch]],
        targets: Mapping[str, Target],
    ) -> beam.PCollection[tuple[str, bytes]]:
        """Bundles of a stream are small: rows wait in state for a file that is worth it."""
        keyed = [
            collection
            | f"Global {name}" >> beam.WindowInto(GlobalWindows())
            | f"Shard {name}"
            >> beam.ParDo(Shard(targets[name], self.shards)).with_output_types(tuple[str, bytes])
            for name, collection in batches.items()
        ]
        return (
            keyed
            | "Flatten" >> beam.Flatten()
            | "Gather"
            >> beam.ParDo(
                Gather(self.lake, targets, self.flush_seconds, self.flush_bytes, self.patience)
            ).with_output_types(tuple[str, bytes])
        )

    def _gather_in_bundle(
        self,
        batches: Mapping[str, beam.PCollection[pa.RecordBatch]],
        targets: Mapping[str, Target],
    ) -> beam.PCollection[tuple[str, bytes]]:
        """Bundles of a bounded run are large: a shuffle would only move every row once more."""
        files = [
            collection
            | f"Global {name}" >> beam.WindowInto(GlobalWindows())
            | f"Gather {name}"
            >> beam.ParDo(
                GatherBundle(self.lake, targets[name], self.flush_bytes, self.patience)
            ).with_output_types(tuple[str, bytes])
            for name, collection in batches.items()
        ]
        return files | "Flatten" >> beam.Flatten()


class Shard(beam.DoFn):
    """Turns a batch into `(table/shard, Arrow IPC stream)`; the shard is a hash of the content.

    A batch that does not fit the table fails here, before anything is in state.
    """

    def __init__(self, target: Target, shards: int) -> None:
        self._target = target
        self._shards = shards

    def process(self, element: pa.RecordBatch) -> Iterator[tuple[str, bytes]]:
        """Encode a batch; one without rows is dropped."""
        if not element.num_rows:
            return
        if not element.schema.equals(self._target.schema):
            rows = conform(pa.Table.from_batches([element]), self._target.schema, self._target.name)
            element = rows.combine_chunks().to_batches()[0]
        record = encode_batch(element)
        yield f"{self._target.name}/{zlib.crc32(record) % self._shards}", record


def create_tables(lake: str, targets: Sequence[Target]) -> None:
    """Create the tables that are not there, so that readers find them empty before the first row.

    Safe to call at every start and from several processes at once. A lake that refuses is not
    waited for: at a start it is more often a wrong name than an outage.
    """
    for target in targets:
        DeltaLog(lake, target.log, Patience(0)).create()
