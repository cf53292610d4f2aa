import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.schemas.arrow import arrow_schema
from eddyline.transforms.minutes.minute_rows import Told, minute_rows
from eddyline.transforms.minutes.minute_sums import steps_of
from eddyline.transforms.minutes.partial import partial_sums


@pytest.fixture(scope="session")
def minutes(contract, readings):
    steps = steps_of(contract.channels)
    schema = arrow_schema(contract.record("minute"))

    def make(rows, revision=0):
        part = partial_sums(readings(rows), contract.channels, steps)
        revisions = [revision] * part.num_rows
        return minute_rows(part, revisions, contract.channels, steps, schema)

    return make


def test_a_minute_is_the_row_that_numpy_makes(minutes):
    temperatures = [20.1, 20.7, 19.9, 20.2]
    passed = [3, 900, 2**40, 0]
    opened = [True, False, True, True]
    rows = [
        ("d", second, second, values)
        for second, values in enumerate(zip(temperatures, passed, opened, strict=True))
    ]
    (row,) = minutes(rows, revision=2).to_pylist()
    assert (row["device_id"], row["site"], row["model"]) == ("d", "site of d", None)
    assert row["minute_start"].isoformat() == "2026-01-02T00:00:00+00:00"
    assert (row["revision"], row["readings"]) == (2, 4)
    assert row["temperature_count"] == row["passed_count"] == row["open_count"] == 4
    assert row["temperature_mean"] == pytest.approx(np.mean(temperatures), abs=1e-10)
    assert row["temperature_std"] == pytest.approx(np.std(temperatures), abs=3e-5)
    assert (row["temperature_min"], row["temperature_max"]) == (19.9, 20.7)
    assert (row["temperature_first"], row["temperature_last"]) == (20.1, 20.2)
    assert (row["passed_min"], row["passed_max"]) == (0.0, 2.0**40)
    assert (row["open_mean"], row["open_min"], row["open_max"]) == (0.75, 0.0, 1.0)
    assert row["open_std"] == pytest.approx(np.std(opened), abs=1e-6)
    assert (row["open_first"], row["open_last"]) == (1.0, 1.0)


def test_a_channel_without_a_value_is_counted_zero_and_null_elsewhere(minutes):
    (row,) = minutes([("d", 0, 1, (float("nan"), None, None)), ("d", 1, 2)]).to_pylist()
    assert row["readings"] == 2
    for channel in ("temperature", "passed", "open"):
        assert row[f"{channel}_count"] == 0
        for statistic in ("mean", "min", "max", "std", "first", "last"):
            assert row[f"{channel}_{statistic}"] is None


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 200), st.floats(-40, 85)),
        min_size=1,
        max_size=40,
    )
)
def test_rows_fit_the_table_and_lie_in_their_bounds(contract, minutes, given_rows):
    rows = [(device, time, i, (value,)) for i, (device, time, value) in enumerate(given_rows)]
    batch = minutes(rows)
    assert batch.schema == arrow_schema(contract.record("minute"))
    by_minute = defaultdict(list)
    for device, time, _, (value,) in rows:
        by_minute[device, time // 60].append(value)
    assert batch.num_rows == len(by_minute)
    for field in batch.schema:
        assert field.nullable or batch.column(field.name).null_count == 0
    for row in batch.to_pylist():
        values = by_minute[row["device_id"], row["minute_start"].minute]
        assert (row["temperature_min"], row["temperature_max"]) == (min(values), max(values))
        assert row["temperature_min"] <= row["temperature_mean"] <= row["temperature_max"]
        assert not math.isnan(row["temperature_std"])


def test_a_repeated_pane_says_nothing():
    told = Told()
    assert told.revise(["a", "b"], [6, 6]) == [0, 0]
    assert told.revise(["a", "b"], [6, 6]) == [None, None]


def test_an_empty_pane_says_nothing_and_changes_nothing():
    told = Told()
    told.revise(["a"], [6])
    before = told.encode()
    assert told.revise([], []) == []
    assert told.encode() == before


def test_a_pane_that_comes_after_a_later_one_says_nothing():
    told = Told()
    assert told.revise(["a"], [8]) == [0]
    assert told.revise(["a"], [7]) == [None]
    assert told.revise(["a"], [9]) == [1]


def test_only_devices_that_changed_get_a_revision():
    told = Told()
    told.revise(["a", "b"], [6, 6])
    assert told.revise(["a", "b", "new"], [6, 7, 1]) == [None, 1, 0]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(("a", "b", "ä" * 20_000)), st.integers(1, 99))))
def test_revisions_count_up_from_zero_as_a_minute_grows_whatever_is_repeated(panes):
    told, largest, revisions = Told(), {}, defaultdict(list)
    for device, readings in panes:
        told = Told(told.encode())
        (revision,) = told.revise([device], [readings])
        assert (revision is not None) == (readings > largest.get(device, 0))
        largest[device] = max(readings, largest.get(device, 0))
        if revision is not None:
            revisions[device].append(revision)
    for numbers in revisions.values():
        assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("encoded", [b"", b"\2", b"\0abc"])
def test_bytes_of_another_version_are_refused(encoded):
    with pytest.raises(ValueError, match="no revisions of version 1"):
        Told(encoded)
