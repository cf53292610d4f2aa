"""Device states: what a fleet knows of each device, as rows that any other fleet can begin with."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.fleet.fill_fleet import fill
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_codec import put_together, take_apart
from eddyline.transforms.fleet.fleet_parts import (
    Cases,
    FleetRefused,
    Parts,
    conform,
    parts_of,
)
from eddyline.transforms.incidents.trouble import Troubles

DEVICE_STATES = arrow_schema(load_contract().record("device_state"))
ROWS = 5_000
"""Devices a batch: a model is some kilobytes, and a shard can have many."""


def device_states(fleet: Fleet, exported_at: int) -> Iterator[pa.RecordBatch]:
    """A row for each device of a fleet, and for each that it only expects and is in trouble.

    Guarantee: fleets that are filled from these rows, however they share the devices, go on bit for
    bit as this one would: scores, incidents, duplicates, and the readings that wait. The fleet
    itself stays as it is.

    Args:
        fleet: The fleet.
        exported_at: Event time of the export, microseconds.

    Yields:
        Batches of the record `device_state`, in the order of the fleet's rows.
    """
    parts = parts_of(fleet)
    cases = parts.cases
    waiting = _waiting_by_device(parts)
    unseen = sorted((cases.troubles.keys() | cases.commands.keys()) - fleet.row.keys())
    names = [*fleet.row, *unseen]
    columns = DEVICE_STATES.names
    for start in range(0, len(names), ROWS):
        rows = [
            (
                exported_at,
                name,
                _known(int(fleet.admission.last_seen[row])) if row < len(fleet.row) else None,
                _known(cases.began),
                _known(cases.stream),
                sum(batch.num_rows for batch in waiting.get(name, ())),
                sum(not i.dismissed for i in cases.troubles.get(name, Troubles()).open),
                put_together(_one(parts, waiting, name, row)),
            )
            for row, name in enumerate(names[start : start + ROWS], start)
        ]
        arrays = zip(*rows, strict=True)
        filled = {name: list(column) for name, column in zip(columns, arrays, strict=True)}
        yield pa.RecordBatch.from_pydict(filled, schema=DEVICE_STATES)


def begin_with(fleet: Fleet, states: Iterable[bytes], began: int, stream: int) -> int:
    """Let a new fleet go on from the states of its devices.

    Args:
        fleet: A fleet without devices; changed.
        states: One for each device.
        began: The first event time of the stream that any shard was told, microseconds; NEVER for
            none. Every shard begins with the same, or who is missing would hang on their number.
        stream: The latest one.

    Returns:
        How many models were refused; those devices keep their place and start a warm-up.

    Raises:
        FleetRefused: One of them is no device's state, or of a version from the future; a device is
            there twice; or readings wait of which a channel has become another type.
    """
    devices = [parts_of(fleet).devices]
    waiting: list[pa.RecordBatch] = []
    cases = Cases(stream, began, {}, {})
    for state in states:
        parts = take_apart(state)
        devices.append(parts.devices)
        waiting += parts.waiting
        cases.troubles |= parts.cases.troubles
        cases.commands |= parts.cases.commands
    together = pa.concat_batches([conform(b, devices[0].schema) for b in _joined(devices)])
    seen = Counter(together.column("device_id").to_pylist())
    if len(seen) < together.num_rows:
        raise FleetRefused(f"the state of device {seen.most_common(1)[0][0]!r} is there twice")
    return fill(fleet, Parts(together, _joined(waiting), cases))


def _joined(batches: Iterable[pa.RecordBatch]) -> tuple[pa.RecordBatch, ...]:
    """The batches, those of one release in one: each that is brought to other columns costs."""
    return tuple(pa.concat_batches(same) for _, same in groupby(batches, lambda b: b.schema))


def _one(
    parts: Parts, waiting: Mapping[str, tuple[pa.RecordBatch, ...]], name: str, row: int
) -> Parts:
    whole = parts.cases
    troubles = {name: whole.troubles[name]} if name in whole.troubles else {}
    commands = {name: whole.commands[name]} if name in whole.commands else {}
    return Parts(
        parts.devices.slice(row, 1),  # none where it was never heard of
        waiting.get(name, ()),
        Cases(whole.stream, whole.began, troubles, commands),
    )


def _waiting_by_device(parts: Parts) -> dict[str, tuple[pa.RecordBatch, ...]]:
    return {
        rows.column("device_id")[0].as_py(): (rows,)
        for batch in parts.waiting
        for rows in _by_device(batch)
    }


def _by_device(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    device = batch.column("device_id").dictionary_encode().indices.to_numpy()
    order = np.argsort(device, kind="stable")
    grouped = batch.take(pa.array(order))
    starts = np.flatnonzero(np.diff(device[order], prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(order)]):
        yield grouped.slice(start, end - start)


def _known(time: int) -> int | None:
    return None if time == NEVER else time
