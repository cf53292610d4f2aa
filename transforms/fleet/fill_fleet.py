"""Filling a new fleet: from the parts of its state, and what changed since they were written."""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from eddyline.schemas.ipc import decode_batch
from eddyline.transforms.devices.admission import remember_ids
from eddyline.transforms.fleet.course import COURSE, set_courses
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_delta import ADMITTED, JUDGED, Delta
from eddyline.transforms.fleet.fleet_parts import Parts, conform

LOG = logging.getLogger(__name__)


def fill(fleet: Fleet, parts: Parts, deltas: Iterable[Delta] = ()) -> int:
    """Fill a new fleet: it goes on as the one would whose state and changes these are.

    A device whose model record is refused (another detector, other settings, damage) keeps its
    place in the stream and starts a warm-up. In readings that wait a channel that is new is null,
    one that is no longer declared goes.

    Args:
        fleet: A fleet without devices; changed.
        parts: Its state's.
        deltas: What changed since, in order.

    Returns:
        How many models were refused.

    Raises:
        FleetRefused: Readings wait of which a channel has become another type.
    """
    filling = _Filling(fleet, parts)
    for delta in deltas:
        filling.take(delta)
    return filling.finish()


class _Filling:
    """A fleet between its parts and its last delta.

    What is costly is done once, at the end: models are decoded, and readings put together, only
    where no later delta has others.
    """

    def __init__(self, fleet: Fleet, parts: Parts) -> None:
        self.fleet, devices = fleet, parts.devices
        ids, recent = devices.column("device_id").to_pylist(), devices.column("recent")
        fleet.add(ids)
        fleet.admission.last_seen[:] = devices.column("last_seen").to_numpy()
        fleet.admission.frontier[:] = devices.column("frontier").to_numpy()
        remember_ids(
            fleet.admission, recent.flatten().to_numpy(), recent.value_lengths().to_numpy()
        )
        if "course" in devices.schema.names:
            set_courses(fleet.casebook, _courses(devices.column("course")))
        self.models: dict[int, bytes] = dict(enumerate(devices.column("model").to_pylist()))
        self.waiting: list[pa.RecordBatch] = list(parts.waiting)
        # Of each reading that waits the batch, and its place there.
        self.places = np.array(
            [(n, row) for n, batch in enumerate(self.waiting) for row in range(batch.num_rows)],
            np.int64,
        ).reshape(-1, 2)
        cases = parts.cases
        self.stream, self.began = cases.stream, cases.began
        self.troubles, self.commands = dict(cases.troubles), dict(cases.commands)

    def take(self, delta: Delta) -> None:
        """Let one more delta come over it."""
        fleet, admission = self.fleet, self.fleet.admission
        if delta.devices:
            fleet.add(delta.devices)
            admission = fleet.admission
        admitted = np.frombuffer(delta.admitted, ADMITTED)
        rows = admitted["row"].astype(np.int64)
        admission.last_seen[rows] = admitted["last_seen"]
        admission.frontier[rows] = admitted["frontier"]
        number = admitted["ids"].astype(np.int64)
        remember_ids(admission, np.frombuffer(delta.ids, "<i8"), number, rows)
        judged = np.frombuffer(delta.judged, JUDGED)
        set_courses(fleet.casebook, judged["course"], judged["row"])
        self.models |= zip(judged["row"].tolist(), delta.models, strict=True)
        self._wait(delta)
        self.stream, self.began = delta.stream, delta.began
        for name, (troubles, commands) in delta.cases.items():
            _put(self.troubles, name, troubles)
            _put(self.commands, name, commands)

    def _wait(self, delta: Delta) -> None:
        if delta.gone:
            self.places = np.delete(self.places, np.frombuffer(delta.gone, "<u4"), axis=0)
        if delta.waiting:
            batch = decode_batch(delta.waiting)
            rows = np.arange(batch.num_rows)
            come = np.stack([np.full(batch.num_rows, len(self.waiting)), rows], axis=1)
            self.places = np.concatenate([self.places, come])
            self.waiting.append(batch)

    def finish(self) -> int:
        """Decode the models, let what waits wait, and open the casebook."""
        fleet = self.fleet
        rows = sorted(self.models)
        records = [self.models[row] for row in rows]
        refused = fleet.detector.decode_many(records, fleet.models, rows)
        for reason, number in Counter(refusal.reason for refusal in refused.values()).items():
            LOG.warning("%d devices learn anew: %s", number, reason)
        if len(self.places):
            still = [
                conform(batch.take(pa.array(rows)), fleet.waiting_schema)
                for number, batch in enumerate(self.waiting)
                if len(rows := self.places[self.places[:, 0] == number, 1])
            ]
            readings = pa.concat_batches(still)
            fleet.waiting.add(readings, fleet.rows_of(readings.column("device_id")))
        fleet.casebook.restore(self.troubles, self.commands, self.stream, self.began)
        return len(refused)


def _put(cases: dict[str, Any], name: str, one: Any) -> None:
    if one:
        cases[name] = one
    else:
        cases.pop(name, None)


def _courses(packed: pa.Array) -> Any:
    start = packed.offset * COURSE.itemsize
    content = memoryview(packed.buffers()[1])[start : start + len(packed) * COURSE.itemsize]
    return np.frombuffer(content, COURSE)
