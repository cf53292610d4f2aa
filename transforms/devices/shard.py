"""Shards: which devices share a fleet, and readings split by it."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

Keyed = tuple[int, pa.RecordBatch]


def shard_of(device: str, shards: int) -> int:
    """The shard of a device: the same in every process, release and engine.

    Example:
        >>> shard_of("boiler-7", 16)
        0
    """
    return xxh3_64_intdigest(device.encode()) % shards


def split_by_shard(rows: pa.RecordBatch, shards: int) -> Iterator[Keyed]:
    """The batch's rows by the shard of their `device_id`; rows of one shard keep their order."""
    encoded = rows.column("device_id").dictionary_encode()
    of_device = np.array([shard_of(d, shards) for d in encoded.dictionary.to_pylist()], np.int32)
    shard = of_device[encoded.indices.to_numpy()]
    order = np.argsort(shard, kind="stable")
    grouped = rows.take(pa.array(order))
    present, starts = np.unique(shard[order], return_index=True)
    bounds = [*starts.tolist(), len(order)]
    for key, (start, end) in zip(present.tolist(), pairwise(bounds), strict=True):
        yield key, grouped.slice(start, end - start)
