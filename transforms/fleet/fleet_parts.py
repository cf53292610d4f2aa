"""The parts of a fleet's state: what its bytes are made of, and what a fleet is filled from."""

from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from eddyline.transforms.devices.admission import NEVER, recent_ids
from eddyline.transforms.fleet.course import COURSE, courses_of
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.trouble import Troubles

DEVICES_1 = pa.schema(
    [
        pa.field("device_id", pa.string(), nullable=False),
        pa.field("last_seen", pa.int64(), nullable=False),
        pa.field("frontier", pa.int64(), nullable=False),
        pa.field("recent", pa.list_(pa.int64()), nullable=False),
        pa.field("model", pa.binary(), nullable=False),
    ]
)
_SINCE_2 = pa.schema([pa.field("course", pa.binary(COURSE.itemsize), nullable=False)])
DEVICES = pa.schema([*DEVICES_1, *_SINCE_2])


class FleetRefused(ValueError):
    """State that is not a fleet of a known version: the job must not go on over it."""


class Cases(msgspec.Struct, array_like=True):
    """The casebook's part: what few devices have, by id."""

    stream: int = NEVER
    began: int = NEVER
    troubles: dict[str, Troubles] = {}
    commands: dict[str, list[Command]] = {}


class Parts(NamedTuple):
    """A fleet's state taken apart.

    Args:
        devices: A row a device, with the columns of its version.
        waiting: The readings that wait, with the columns that they came with.
        cases: The casebook's part.
    """

    devices: pa.RecordBatch
    waiting: tuple[pa.RecordBatch, ...]
    cases: Cases


def parts_of(fleet: Fleet) -> Parts:
    """What a fleet's state is made of."""
    ids, number = recent_ids(fleet.admission)
    offsets = np.append(0, np.cumsum(number)).astype(np.int32)
    courses, course = courses_of(fleet.casebook), DEVICES.field("course").type
    devices = pa.RecordBatch.from_arrays(
        [
            pa.array(list(fleet.row), pa.string()),
            pa.array(fleet.admission.last_seen),
            pa.array(fleet.admission.frontier),
            pa.ListArray.from_arrays(offsets, ids),
            pa.array(fleet.detector.encode_many(fleet.models), pa.binary()),
            pa.FixedSizeBinaryArray.from_buffers(
                course, len(courses), [None, pa.py_buffer(courses)]
            ),
        ],
        schema=DEVICES,
    )
    book = fleet.casebook
    return Parts(
        devices,
        (fleet.waiting.readings,) if len(fleet.waiting) else (),
        Cases(book.stream, book.began, book.troubles, book.commands),
    )


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the columns of `schema`: one that it lacks is null, others go.

    Raises:
        FleetRefused: A column has another type.
    """
    columns = {
        field.name: batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    }
    try:
        return pa.RecordBatch.from_pydict(columns, schema=schema)
    except pa.ArrowInvalid as error:
        raise FleetRefused(f"a channel's type changed while readings wait: {error}") from error
