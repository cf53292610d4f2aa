"""A batch as bytes: what crosses shuffles and waits in state."""

import pyarrow as pa

# A third of the bytes for a fifth of a microsecond a reading; Arrow's own threads cost five times
# that on batches of this size, and an engine runs enough of its own.
_WRITE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ = pa.ipc.IpcReadOptions(use_threads=False)


def encode_batch(batch: pa.RecordBatch) -> bytes:
    """The batch as an Arrow IPC stream: self-describing, compressed; a slice costs its rows only.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"device_id": ["a", "b", "c"]})
        >>> decode_batch(encode_batch(batch.slice(1, 1))).to_pydict()
        {'device_id': ['b']}
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_WRITE) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def decode_batch(encoded: bytes) -> pa.RecordBatch:
    """The batch that `encode_batch` was given.

    Raises:
        pyarrow.ArrowInvalid: The bytes are no such stream.
    """
    return pa.ipc.open_stream(encoded, options=_READ).read_next_batch()
