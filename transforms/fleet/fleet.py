"""The fleet: every device of one shard, from readings in any order to scores and incidents."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.detectors.protocol import Detector, Explanation, Verdict
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract
from eddyline.transforms.devices.admission import NEVER, Outcome, admit, grown, new_admission
from eddyline.transforms.devices.channel_values import channel_values
from eddyline.transforms.fleet.changes import Changes
from eddyline.transforms.fleet.waiting import Waiting
from eddyline.transforms.incidents.cadence import held_up
from eddyline.transforms.incidents.casebook import Casebook
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.known import Known
from eddyline.transforms.incidents.life_cycle import FOREVER

END_OF_TIME = 2**62
_VERDICTS = pa.array([verdict.name for verdict in Verdict])
_OWN = ("verdict", "score")
_SAME = ("device_id", "event_time", "reading_id", "site", "model", "score")


class Watched(NamedTuple):
    """What the fleet gives back.

    Args:
        unique: Readings seen for the first time, as they came, in the order of arrival.
        scored: Readings that are in order now, and late ones, with `verdict` and `score`.
        anomalies: One row for each scored reading with the verdict ANOMALY, and why.
        incidents: Transitions of incidents, each incident's in order.
        duplicates: How many readings were dropped as repeated.
        late: How many of the scored readings are late.
        ignored: How many commands told nothing: given before, or of no incident that is known.
    """

    unique: pa.RecordBatch
    scored: pa.RecordBatch
    anomalies: pa.RecordBatch
    incidents: pa.RecordBatch
    duplicates: int
    late: int
    ignored: int


class Fleet:
    """The devices of one shard: order → deduplicate → score → incident. Plain Python, no Beam.

    Guarantee: each reading is in `unique` once and in `scored` once, if not at once then after
    `advance`. The same readings shuffled within `disorder`, repeated, or cut into other batches
    give the same scored readings and the same incidents. A reading that arrives after its release
    point is scored LATE, teaches the model nothing and changes no incident. For incidents see
    `Casebook`; silences need to be told how far the whole stream is: `tell`.

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
        # What a detector takes beside the channels waits with its reading, and is stored nowhere.
        self.inputs: tuple[str, ...] = getattr(detector, "inputs", ())
        self.waiting_schema = pa.schema(
            [
                *(f for f in self.reading_schema if f.name not in _OWN),
                *(pa.field(name, pa.float64()) for name in self.inputs),
            ]
        )
        self.row: dict[str, int] = {}
        self.admission = new_admission(0, remember)
        self.models = detector.new(0)
        self.casebook = Casebook(
            detector, contract.channels, arrow_schema(contract.record("incident"))
        )
        self.waiting = Waiting(self.waiting_schema)
        self.changes = Changes()
        self._no_readings = pa.RecordBatch.from_pylist([], schema=self.reading_schema)
        self._no_anomalies = pa.RecordBatch.from_pylist([], schema=self.anomaly_schema)

    def know(self, known: Known) -> None:
        """Take what the registry and the policy say now."""
        self.casebook.know(known)

    def tell(self, stream: int) -> None:
        """The whole stream, not this shard alone, has come to this event time, microseconds."""
        self.casebook.tell(stream)

    def control(self, commands: Iterable[Command]) -> Watched:
        """Take operators' commands; each takes effect among its device's readings by its time."""
        self.casebook.control(commands)
        self._obey(NEVER)
        nothing = self._no_readings
        return self._watched(nothing, self._no_anomalies, nothing)

    def observe(self, readings: pa.RecordBatch) -> Watched:
        """Take enriched readings in the order of their arrival; give what is in order now."""
        device = self.rows_of(readings.column("device_id"))
        time = _integers(readings, "event_time")
        self._wait_longer(device)
        outcome = np.zeros(len(device), np.uint8)
        admit(
            device, time, _integers(readings, "reading_id"), self.disorder, *self.admission, outcome
        )
        self.changes.admitted[device] = True
        unique = readings
        if repeated := int((outcome == Outcome.DUPLICATE).sum()):
            first = outcome != Outcome.DUPLICATE
            unique, device, outcome = (
                readings.filter(pa.array(first)),
                device[first],
                outcome[first],
            )
        in_time, is_late = unique, outcome == Outcome.LATE
        if is_late.any():
            in_time, device = unique.filter(pa.array(~is_late)), device[~is_late]
        self.waiting.add(in_time, device)
        scored, anomalies = self._score(*self.waiting.release(self.admission.frontier))
        if is_late.any():
            scored = pa.concat_batches([self._late(unique.filter(pa.array(is_late))), scored])
        self._obey(NEVER)
        return self._watched(scored, anomalies, unique, repeated, int(is_late.sum()))

    def advance(self, watermark: int) -> Watched:
        """Give what the watermark puts in order: nothing earlier is expected any more.

        Devices of which nothing came for long are silent then, if the stream has come that far.

        Args:
            watermark: Microseconds; what lies `disorder` before it is released.
        """
        until = np.full(len(self.row), watermark - self.disorder, np.int64)
        released, device = self.waiting.release(until)
        self.changes.admitted[device] = True
        np.maximum.at(self.admission.frontier, device, _integers(released, "event_time") + 1)
        scored, anomalies = self._score(released, device)
        self._obey(watermark - self.disorder)
        self.casebook.let_pass(watermark, self.admission.last_seen)
        return self._watched(scored, anomalies, released.slice(0, 0))

    def due(self) -> int | None:
        """The watermark at which `advance` has something to do; None if nothing waits."""
        due = self.casebook.due(self.admission.last_seen, self.disorder)
        if len(self.waiting):
            due = min(due, int(self.waiting.time.min()) + self.disorder + 1)
        return None if due >= FOREVER else due

    def add(self, devices: Iterable[str]) -> list[int]:
        """The rows of devices; new ones get the next."""
        row, before = self.row, len(self.row)
        rows = [row.setdefault(device, len(row)) for device in devices]
        if (more := len(row) - before) > 0:
            self.admission = grown(self.admission, len(row))
            self.models = np.concatenate([self.models, self.detector.new(more)])
            self.casebook.add(islice(row, before, None))
            self.changes.grow(len(row))
        return rows

    def rows_of(self, ids: pa.Array) -> NDArray[np.int32]:
        """The row of the device of each of these ids; new devices get the next ones."""
        encoded = ids.dictionary_encode()
        rows = self.add(encoded.dictionary.to_pylist())
        return np.array(rows, np.int32)[encoded.indices.to_numpy()]

    def settle(self) -> None:
        """All of it is in the state now: what changes from here on is told by the next delta."""
        self.changes.settle(self.admission)
        self.casebook.touched.clear()
        self.waiting.settle()

    def _watched(
        self,
        scored: pa.RecordBatch,
        anomalies: pa.RecordBatch,
        unique: pa.RecordBatch,
        duplicates: int = 0,
        late: int = 0,
    ) -> Watched:
        incidents, ignored = self.casebook.told()
        return Watched(unique, scored, anomalies, incidents, duplicates, late, ignored)

    def _obey(self, watermark: int) -> None:
        """Apply the commands that no reading in order can come before any more."""

        def before(row: int | None) -> int:
            return watermark if row is None else max(watermark, int(self.admission.frontier[row]))

        if self.casebook.commands:
            self.casebook.obey(before, self._rebaseline)

    def _rebaseline(self, row: int) -> None:
        self.changes.judged[row] = True
        self.detector.rebaseline(self.models, row)

    def _wait_longer(self, device: NDArray[np.int32]) -> None:
        """Renew the patience with devices whose readings go on coming far behind the stream."""
        cadence, stream = self.casebook.cadence, self.casebook.stream
        if not cadence.held.any():  # almost always
            return
        for row in np.unique(device[cadence.held[device] > 0.0]).tolist():
            behind = stream - int(self.admission.last_seen[row])
            if behind > cadence.held[row]:
                held_up(cadence, row, behind)
                self.changes.judged[row] = True

    def _score(
        self, released: pa.RecordBatch, device: NDArray[np.int32]
    ) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        if not len(device):
            return self._no_readings, self._no_anomalies
        time = _integers(released, "event_time")
        values = channel_values(released, self.channels)
        runs = self.casebook.runs(device, time, self._rebaseline)
        parts = [
            self._judge(released, device, time, values)
            if run is None
            else self._judge(released.take(pa.array(run)), device[run], time[run], values[run])
            for run in runs
        ]
        if len(parts) == 1:
            return parts[0]
        scored, anomalies = zip(*parts, strict=True)
        return pa.concat_batches(scored), pa.concat_batches(anomalies)

    def _judge(
        self,
        readings: pa.RecordBatch,
        device: NDArray[np.int32],
        time: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Score readings under thresholds that stay, and take them into the casebook."""
        given = np.hstack([channel_values(readings, self.inputs), values])
        scores = self.detector.observe(self.models, device, time, given, self.casebook.thresholds)
        self.changes.judged[device] = True
        self.casebook.take(readings, device, time, values, scores)
        verdicts = _VERDICTS.take(pa.array(scores.verdict))
        score = pa.array(scores.score, from_pandas=True)
        scored = self._scored(readings, verdicts, score)
        return scored, self._anomalies(scored, scores.explanations)

    def _late(self, late: pa.RecordBatch) -> pa.RecordBatch:
        rows = late.num_rows
        verdicts = pa.array([Verdict.LATE.name] * rows, pa.string())
        return self._scored(late, verdicts, pa.nulls(rows, pa.float64()))

    def _scored(
        self, readings: pa.RecordBatch, verdict: pa.Array, score: pa.Array
    ) -> pa.RecordBatch:
        columns = {
            f.name: readings.column(f.name) for f in self.reading_schema if f.name not in _OWN
        }
        columns |= zip(_OWN, (verdict, score), strict=True)
        return pa.RecordBatch.from_pydict(columns, schema=self.reading_schema)

    def _anomalies(
        self, scored: pa.RecordBatch, explanations: dict[int, Explanation]
    ) -> pa.RecordBatch:
        if not explanations:  # almost always
            return self._no_anomalies
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


def _integers(batch: pa.RecordBatch, column: str) -> NDArray[np.int64]:
    return batch.column(column).cast(pa.int64()).to_numpy()
