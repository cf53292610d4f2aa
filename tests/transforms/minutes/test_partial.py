from functools import reduce
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.minutes.minute_sums import steps_of
from eddyline.transforms.minutes.partial import by_minute, merged, partial_sums, sums_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
T0 = 1_767_312_000 * SECOND

ROWS = st.lists(
    st.tuples(
        st.sampled_from(("a", "b", "ä", "device-10", "device-9")),
        st.sampled_from((-60.000001, -0.000001, 0, 0.5, 59.999999, 60, 3600, 86_400)),
        st.tuples(
            st.one_of(
                st.sampled_from((0.0, -0.0, float("nan"), None, 1e300, -1.7e308)),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.sampled_from((True, False, None)),
        ),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="session")
def summed(contract, readings):
    steps = steps_of(contract.channels)

    def make(rows):
        return partial_sums(readings(rows), contract.channels, steps)

    return make


def encoded(part):
    return RecordBatchCoder().encode(part)


@settings(max_examples=150)
@given(ROWS, st.data())
def test_any_order_any_parts_and_any_tree_of_merges_give_the_same_bytes(summed, given_rows, data):
    rows = [(device, time, i, values) for i, (device, time, values) in enumerate(given_rows)]
    expected = encoded(summed(rows))
    shuffled = data.draw(st.permutations(rows))
    cuts = data.draw(st.sets(st.integers(1, max(1, len(rows) - 1)), max_size=6))
    bounds = sorted({0, len(rows)} | {cut for cut in cuts if cut < len(rows)})
    parts = [summed(shuffled[start:end]) for start, end in pairwise(bounds)]
    assert encoded(merged(parts)) == expected
    assert encoded(reduce(lambda one, other: merged([other, one]), parts)) == expected
    while len(parts) > 1:
        at = data.draw(st.integers(0, len(parts) - 2))
        parts[at : at + 2] = [merged(RecordBatchCoder().decode(encoded(p)) for p in parts[at:][:2])]
    assert encoded(merged(parts)) == expected


@settings(max_examples=50)
@given(ROWS)
def test_every_reading_and_every_value_is_in_its_own_minute(contract, summed, given_rows):
    rows = [(device, time, i, values) for i, (device, time, values) in enumerate(given_rows)]
    part = summed(rows)
    devices, sums = sums_of(part)
    found = {}
    starts = part.column("minute_start").cast(pa.int64()).to_pylist()
    for row, key in enumerate(zip(part.column("device_id").to_pylist(), starts, strict=True)):
        found[key] = (int(devices["readings"][row]), sums["count"][row].tolist())
    expected = {}
    for device, time, _, values in rows:
        at = T0 + round(time * SECOND)
        number, counts = expected.setdefault((device, at - at % MINUTE), [0, [0, 0, 0]])
        expected[device, at - at % MINUTE][0] = number + 1
        for channel, value in enumerate(values):
            counts[channel] += value is not None and not np.isnan(value)
    assert found == {key: tuple(value) for key, value in expected.items()}


def test_rows_are_by_minute_and_then_by_device_id(summed):
    part = summed([("b", 61, 1), ("a", 61, 2), ("device-10", 5, 3), ("device-9", 5, 4)])
    assert part.column("device_id").to_pylist() == ["device-10", "device-9", "a", "b"]
    parts = [summed([("b", 1, 1)]), summed([("a", 99, 2)]), summed([("a", 1, 3)])]
    assert merged(parts).column("device_id").to_pylist() == ["a", "b", "a"]


def test_by_minute_cuts_a_part_into_its_minutes(summed):
    part = summed([("a", 61, 1), ("b", 61, 2), ("a", 5, 3), ("a", -1, 4)])
    minutes = list(by_minute(part))
    assert [start for start, _ in minutes] == [T0 - MINUTE, T0, T0 + MINUTE]
    assert [one.num_rows for _, one in minutes] == [1, 1, 2]
    assert encoded(pa.concat_batches([one for _, one in minutes])) == encoded(part)
    # The sums of a slice are its own ones.
    devices, sums = sums_of(minutes[2][1])
    assert devices["last_id"].tolist() == [1, 2]
    assert sums.shape == (2, 3)


def test_a_device_that_moved_within_the_minute_stands_where_it_was_seen_last(contract, readings):
    steps = steps_of(contract.channels)

    def at_site(seconds, identity, site):
        batch = readings([("d", seconds, identity)])
        at = batch.schema.get_field_index("site")
        moved = batch.set_column(at, batch.schema.field(at), pa.array([site]))
        return partial_sums(moved, contract.channels, steps)

    parts = [
        at_site(1, 1, "hall"),
        at_site(9, 2, "yard"),
        at_site(9, 1, "dock"),
        at_site(5, 3, "x"),
    ]
    for order in (parts, parts[::-1]):
        assert merged(order).column("site").to_pylist() == ["yard"]


def test_a_zero_has_no_sign(summed):
    rows = [("d", 0, 1, (0.0,)), ("d", 1, 2, (-0.0,))]
    assert encoded(summed(rows)) == encoded(summed(rows[::-1]))
    assert encoded(merged([summed(rows[1:]), summed(rows[:1])])) == encoded(summed(rows))
