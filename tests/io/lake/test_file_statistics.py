import json
import math
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.lake.file_statistics import INDEXED_COLUMNS, PREFIX, statistics


def told(**columns):
    return json.loads(statistics(pa.table(columns)))


@given(st.lists(st.text(max_size=80), min_size=1))
def test_string_bounds_enclose_every_value_byte_for_byte(values):
    found = told(s=values)
    assert all(found["minValues"]["s"].encode() <= value.encode() for value in values)
    if "s" in found["maxValues"]:
        assert all(found["maxValues"]["s"].encode() >= value.encode() for value in values)


def test_a_long_string_is_cut_and_the_upper_bound_stays_above_it():
    found = told(s=["b" * 100])
    assert found["minValues"]["s"] == "b" * PREFIX
    assert len(found["maxValues"]["s"]) == PREFIX + 1
    assert found["maxValues"]["s"] > "b" * 100


def test_an_upper_bound_that_cannot_be_told_is_left_out():
    assert told(s=["\U0010ffff" * 40])["maxValues"] == {}


def test_nan_and_infinity_leave_no_bounds():
    found = told(a=[1.0, math.nan], b=[1.0, math.inf], c=[1.0, 2.0])
    assert found["minValues"] == {"c": 1.0}
    assert found["maxValues"] == {"c": 2.0}


def test_a_column_of_nulls_has_a_count_and_no_bounds():
    found = told(a=pa.array([None, None], pa.float64()))
    assert found == {"numRecords": 2, "minValues": {}, "maxValues": {}, "nullCount": {"a": 2}}


def test_nested_binary_and_boolean_columns_have_counts_and_no_bounds():
    found = told(
        l=pa.array([["x"], None]),
        m=pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string())),
        b=[b"x", None],
        t=[True, None],
    )
    assert found["nullCount"] == {"l": 1, "m": 1, "b": 1, "t": 1}
    assert found["minValues"] == found["maxValues"] == {}


def test_instants_are_exact_to_the_microsecond_before_and_after_the_epoch():
    instants = [
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ]
    found = told(t=pa.array(instants, pa.timestamp("us", "UTC")))
    assert found["minValues"]["t"] == "1969-12-31T23:59:59.999999Z"
    assert found["maxValues"]["t"] == "9999-12-31T00:00:00.000000Z"
    assert told(t=pa.array([instants[1]], pa.timestamp("us", "UTC")))["minValues"]["t"] == (
        "2026-01-02T03:04:05.678901Z"
    )


def test_a_wide_table_has_statistics_of_its_first_columns_only():
    found = told(**{f"c{n}": [n] for n in range(40)})
    assert list(found["nullCount"]) == [f"c{n}" for n in range(INDEXED_COLUMNS)]
