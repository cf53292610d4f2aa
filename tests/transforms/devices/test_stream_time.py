"""How batches are keyed by shard and stamped."""

import pyarrow as pa
from apache_beam.transforms.window import TimestampedValue

from eddyline.transforms.devices.stream_time import KeyByShard

SECOND = 1_000_000
TIME = pa.timestamp("us", "UTC")


def batch_of(*rows: tuple[str, int, int]) -> pa.RecordBatch:
    """Device, event time and arrival time in seconds."""
    device, event_time, arrival_time = zip(*rows, strict=True)
    return pa.RecordBatch.from_pydict(
        {
            "device_id": pa.array(device),
            "event_time": pa.array([t * SECOND for t in event_time], TIME),
            "arrival_time": pa.array([t * SECOND for t in arrival_time], TIME),
        }
    )


def test_a_batch_with_a_late_row_is_not_stamped_before_those_that_came_earlier():
    # Prism hands a key's waiting elements over in the order of their stamps.
    keyed = KeyByShard(shards=4)
    keyed.setup()
    stamps = []
    for batch in (
        batch_of(("a", 100, 100), ("b", 99, 100)),
        batch_of(("a", 101, 101), ("b", 101, 101)),
        batch_of(("a", 20, 102), ("b", 102, 102)),
        batch_of(("a", 103, 103), ("b", 101, 103)),
    ):
        for value in keyed.process(batch):
            assert isinstance(value, TimestampedValue)
            stamps.append(float(value.timestamp))
    assert stamps == sorted(stamps)
    assert sorted(set(stamps)) == [99.0, 101.0]  # no reading in time lies before its stamp


def test_a_clock_that_is_ahead_carries_neither_the_stream_nor_a_stamp_with_it():
    keyed = KeyByShard(shards=1)
    keyed.setup()
    list(keyed.process(batch_of(("a", 5, 5))))
    (ahead,) = keyed.process(batch_of(("b", 305, 6)))
    _, (newest, rows) = ahead.value
    assert (newest, float(ahead.timestamp), rows.num_rows) == (6 * SECOND, 6.0, 1)
