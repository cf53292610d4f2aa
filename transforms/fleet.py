"""The fleet: every device of one shard, from unique readings in any order to scored ones."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.detectors.protocol import Detector, Explanation, Verdict
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract
from eddyline.transforms.admission import Outcome, admit, grown, new_admission

END_OF_TIME = 2**62
_VERDICTS = pa.array([verdict.name for verdict in Verdict])


class Watched(NamedTuple):
    """What the fleet gives back.

    Args:
        unique: Readings seen for the first time, as they came, in the order of arrival.
        scored: Readings that are in order now, and late ones, with `verdict` and `score`.
        anomalies: One row for each scored reading with the verdict ANOMALY, and why.
        duplicates: How many readings were dropped as repeated.
    """

    unique: pa.RecordBatch
    scored: pa.RecordBatch
    anomalies: pa.RecordBatch
    duplicates: int


class Fleet:
    """The devices of one shard: order → deduplicate → score. Plain Python, no Beam.

    Guarantee: each reading is in `unique` once and in `scored` once, if not at once then after
    `advance`. The same readings shuffled within `disorder`, repeated, or cut into other batches
    give the same scored readings. A reading that arrives after its release point is scored LATE
    and teaches the model nothing.

    Args:
        contract: The declared channels.
        detector: The model of every device.
        disorder: Bound of the disorder, microseconds.
        remember: How many of its last readings a device remembers against duplicates.
    """

    def __init__(
        self, contract: Contract, detector: Detector, disorder: int, remember: int
    ) -> None:
        self.detector, self.disorder = detector, disorder
        self.channels = [channel.name for channel in contract.channels]
        self.reading_schema = arrow_schema(contract.record("reading"))
        self.anomaly_schema = arrow_schema(contract.record("anomaly"))
        self.row: dict[str, int] = {}
        self.admission = new_admission(0, remember)
        self.models = detector.new(0)
        self.waiting: pa.RecordBatch | None = None

    def observe(self, readings: pa.RecordBatch) -> Watched:
        """Take enriched readings in the order of their arrival; give what is in order now."""
        device = self._rows(readings.column("device_id"))
        time = _integers(readings, "event_time")
        outcome = np.zeros(len(device), np.uint8)
        admit(
            device, time, _integers(readings, "reading_id"), self.disorder, *self.admission, outcome
        )
        unique = readings
        if repeated := int((outcome == Outcome.DUPLICATE).sum()):
            unique = readings.filter(pa.array(outcome != Outcome.DUPLICATE))
            outcome = outcome[outcome != Outcome.DUPLICATE]
        late = unique.filter(pa.array(outcome == Outcome.LATE))
        self._wait_for_order(unique.filter(pa.array(outcome == Outcome.WAITING)))
        scored, anomalies = self._score(self._release(self.admission.frontier))
        if late.num_rows:
            scored = pa.concat_batches([self._late(late), scored])
        return Watched(unique, scored, anomalies, repeated)

    def advance(self, watermark: int) -> Watched:
        """Give what the watermark puts in order: nothing earlier is expected any more.

        Args:
            watermark: Microseconds; what lies `disorder` before it is released.
        """
        until = np.full(len(self.row), watermark - self.disorder, np.int64)
        released = self._release(until)
        device = self._rows(released.column("device_id"))
        np.maximum.at(self.admission.frontier, device, _integers(released, "event_time") + 1)
        scored, anomalies = self._score(released)
        return Watched(released.slice(0, 0), scored, anomalies, 0)

    def due(self) -> int | None:
        """The watermark at which `advance` has something to release; None if nothing waits."""
        if self.waiting is None or not self.waiting.num_rows:
            return None
        return int(_integers(self.waiting, "event_time").min()) + self.disorder + 1

    def _rows(self, ids: pa.Array) -> NDArray[np.int32]:
        """The rows of the devices; new devices get the next ones."""
        encoded = ids.dictionary_encode()
        row = self.row
        rows = [row.setdefault(device, len(row)) for device in encoded.dictionary.to_pylist()]
        if (more := len(row) - len(self.models)) > 0:
            self.admission = grown(self.admission, len(row))
            self.models = np.concatenate([self.models, self.detector.new(more)])
        return np.array(rows, np.int32)[encoded.indices.to_numpy()]

    def _wait_for_order(self, readings: pa.RecordBatch) -> None:
        if self.waiting is None:
            self.waiting = readings
        elif readings.num_rows:
            self.waiting = pa.concat_batches([self.waiting, readings])

    def _release(self, until: NDArray[np.int64]) -> pa.RecordBatch:
        """Take out what waits before its device's `until`, by (event time, reading id)."""
        waiting = self.waiting
        if waiting is None:
            return pa.RecordBatch.from_pylist([], schema=self.reading_schema)
        time = _integers(waiting, "event_time")
        ready = time < until[self._rows(waiting.column("device_id"))]
        order = np.lexsort((_integers(waiting, "reading_id")[ready], time[ready]))
        released = waiting.take(pa.array(np.flatnonzero(ready)[order]))
        self.waiting = waiting.filter(pa.array(~ready))
        return released

    def _score(self, released: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        device = self._rows(released.column("device_id"))
        values = np.empty((released.num_rows, len(self.channels)))
        for column, channel in enumerate(self.channels):
            values[:, column] = (
                released.column(channel).cast(pa.float64()).to_numpy(zero_copy_only=False)
            )
        time = _integers(released, "event_time")
        scores = self.detector.observe(self.models, device, time, values)
        verdicts = _VERDICTS.take(pa.array(scores.verdict))
        score = pa.array(scores.score, from_pandas=True)
        scored = self._scored(released, verdicts, score)
        return scored, self._anomalies(scored, scores.explanations)

    def _late(self, late: pa.RecordBatch) -> pa.RecordBatch:
        rows = late.num_rows
        verdicts = pa.array([Verdict.LATE.name] * rows, pa.string())
        return self._scored(late, verdicts, pa.nulls(rows, pa.float64()))

    def _scored(
        self, readings: pa.RecordBatch, verdict: pa.Array, score: pa.Array
    ) -> pa.RecordBatch:
        own = {"verdict": verdict, "score": score}
        columns = [
            own[field.name] if field.name in own else readings.column(field.name)
            for field in self.reading_schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.reading_schema)

    def _anomalies(
        self, scored: pa.RecordBatch, explanations: dict[int, Explanation]
    ) -> pa.RecordBatch:
        rows = sorted(explanations)
        why = [explanations[row] for row in rows]
        found = scored.take(pa.array(rows, pa.int64()))
        columns = {
            **{name: found.column(name) for name in _SAME},
            "detector": pa.array([self.detector.name] * len(rows), pa.string()),
            "sign": pa.array([e.sign for e in why], pa.string()),
            "channels": [list(e.channels) for e in why],
            "explanation": pa.array([e.sentence for e in why], pa.string()),
            **{
                name: pa.array([getattr(e, name) for e in why], pa.float64(), from_pandas=True)
                for name in ("observed", "expected", "expected_low", "expected_high")
            },
        }
        return pa.RecordBatch.from_pydict(columns, schema=self.anomaly_schema)


_SAME = ("device_id", "event_time", "reading_id", "site", "model", "score")


def _integers(batch: pa.RecordBatch, column: str) -> NDArray[np.int64]:
    return batch.column(column).cast(pa.int64()).to_numpy()
