"""Device states of a lake, as the file that another job begins with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from eddyline.io.lake.read import open_table
from eddyline.io.lake.storage import locate
from eddyline.transforms.fleet.device_states import DEVICE_STATES, ROWS

TABLE = "device_states"
_KEY = ("device_id", "exported_at", "last_seen")


@dataclass(frozen=True)
class Exported:
    """What a file was made of.

    Args:
        devices: Devices in it.
        exports: Time of an export -> its devices in the file, the newest first.
    """

    devices: int
    exports: dict[datetime, int]


def export_states(lake: str, out: str, at: datetime | None = None) -> Exported:
    """Write the newest state of each device in a lake into one Parquet file.

    A file that is there is replaced. Holds a batch of states and the devices' ids in memory.

    Args:
        lake: The lake.
        out: The file: a path, s3:// or gs://.
        at: Leave out exports after it, with a zone; None for none.

    Raises:
        TableNotFoundError: The lake has no device states.
        ValueError: None were exported up to then.
    """
    wanted = ds.scalar(True) if at is None else ds.field("exported_at") <= at
    table: Any = open_table(lake, TABLE).to_pyarrow_dataset()
    newest: dict[str, tuple[Any, ...]] = {}
    for keys in _batches(table, list(_KEY), wanted):
        for key in zip(*(keys.column(name).to_pylist() for name in _KEY), strict=True):
            newest[key[0]] = max(newest.get(key[0], key), key, key=_age)
    if not newest:
        raise ValueError(f"{lake}: no device states{'' if at is None else f' up to {at}'}")
    exports = Counter(exported_at for _, exported_at, _ in newest.values())
    place = locate(out)
    with (
        place.open_new(place.root) as sink,
        pq.ParquetWriter(sink, DEVICE_STATES, compression="zstd") as file,
    ):
        for states in _batches(table, DEVICE_STATES.names, wanted):
            keys = zip(*(states.column(name).to_pylist() for name in _KEY), strict=True)
            # An export whose command came twice is there twice: once is enough.
            mine = [newest.get(key[0]) == key and bool(newest.pop(key[0])) for key in keys]
            if any(mine):
                file.write_batch(states.filter(pa.array(mine)).cast(DEVICE_STATES))
    return Exported(exports.total(), dict(sorted(exports.items(), reverse=True)))


def _batches(table: Any, columns: list[str], wanted: ds.Expression) -> Iterator[pa.RecordBatch]:
    yield from table.scanner(columns=columns, filter=wanted, batch_size=ROWS).to_batches()


def _age(key: tuple[Any, ...]) -> tuple[Any, ...]:
    _, exported_at, last_seen = key
    return exported_at, last_seen is not None, last_seen
