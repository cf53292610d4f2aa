"""Rows that fit their table and rows that do not."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.rows.fitting import fitting
from eddyline.io.rows.refused import dead_letters
from eddyline.io.rows.table import row_table
from eddyline.schemas.record import load_contract

TABLE = row_table(load_contract("room"), "anomalies")


def batch(scores, ids):
    """Scores as any type; ids may be missing."""
    count = len(scores)
    columns = {
        "device_id": pa.array([f"d{n}" for n in range(count)]),
        "event_time": pa.array(range(count), pa.timestamp("us", "UTC")),
        "reading_id": pa.array(ids, pa.int64()),
        "detector": pa.array(["density"] * count, pa.string()),
        "score": scores,
        "channels": pa.array([[]] * count, pa.list_(pa.string())),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


@given(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=1, max_size=20))
def test_rows_and_refused_are_all_of_them_in_their_order(ids):
    scores = pa.array([float(n) for n in range(len(ids))])
    fit = fitting(TABLE, batch(scores, ids))
    assert fit.rows.schema.equals(TABLE.schema)
    assert fit.rows.column("score").to_pylist() == [n for n, i in enumerate(ids) if i is not None]
    assert [row.time for row in fit.refused] == [n for n, i in enumerate(ids) if i is None]


def test_a_null_where_none_may_be_is_found_although_the_schema_is_right():
    whole = fitting(TABLE, batch(pa.array([1.0, 2.0]), [1, 2])).rows
    place = whole.schema.get_field_index("detector")
    columns = [*whole.columns[:place], pa.array(["density", None]), *whole.columns[place + 1 :]]
    fit = fitting(TABLE, pa.RecordBatch.from_arrays(columns, schema=whole.schema))
    assert (fit.rows.num_rows, [row.time for row in fit.refused]) == (1, [1])


def test_a_value_that_its_column_cannot_hold_costs_its_row_only():
    fit = fitting(TABLE, batch(pa.array(["1.5", "high", "2.5"]), [1, 2, 3]))
    assert fit.rows.column("score").to_pylist() == [1.5, 2.5]
    (row,) = fit.refused
    assert (row.reason, row.time, b'"high"' in row.payload) == ("wrong_type", 1, True)
    letters = dead_letters("warehouse", "bigquery:p.d", [row])
    assert letters.column("source").to_pylist() == ["bigquery:p.d.anomalies"]


def test_an_error_in_many_words_is_cut():
    (row,) = fitting(TABLE, batch(pa.array(["x" * 5000]), [1])).refused
    assert len(dead_letters("s", "", [row]).column("error")[0].as_py()) <= 500
