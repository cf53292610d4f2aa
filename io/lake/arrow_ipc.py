"""Record batches as bytes that carry their own schema: what waits in state and crosses shuffles."""

from collections.abc import Iterable

import pyarrow as pa


def encode(batch: pa.RecordBatch) -> bytes:
    """Give a batch as an Arrow IPC stream.

    >>> batch = pa.record_batch({"a": [1, 2]})
    >>> decode([encode(batch), encode(batch)]).to_pydict()
    {'a': [1, 2, 1, 2]}
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def decode(records: Iterable[bytes]) -> pa.Table:
    """Read batches back as one table; columns that only some of them have are null in the others.

    The values are not copied: the table holds on to the bytes.
    """
    return pa.concat_tables(
        (pa.ipc.open_stream(record).read_all() for record in records), promote_options="default"
    )
