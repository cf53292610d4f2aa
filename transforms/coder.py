"""How a `RecordBatch` crosses a shuffle: as an Arrow IPC stream, never pickled."""

import pyarrow as pa
from apache_beam import coders

from eddyline.schemas.ipc import decode_batch, encode_batch


class RecordBatchCoder(coders.Coder):
    """Arrow IPC stream of one batch, by `encode_batch`.

    Equal batches can have unequal bytes (what lies under a null, the bits behind a slice's end), so
    a batch is never a key: evening that out would cost five times as much.
    """

    def encode(self, value: pa.RecordBatch) -> bytes:
        """The batch's bytes."""
        return encode_batch(value)

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """The batch that `encode` was given."""
        return decode_batch(encoded)

    def is_deterministic(self) -> bool:
        """Equal batches can have unequal bytes."""
        return False

    def to_type_hint(self) -> type:
        """What it encodes."""
        return pa.RecordBatch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
