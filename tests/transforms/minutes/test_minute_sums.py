import math
import statistics as exact

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.schemas.channel import Channel
from eddyline.transforms.minutes.minute_sums import (
    SHIFT,
    add_readings,
    add_sums,
    new_sums,
    statistics,
    steps_of,
)

ROOM = Channel("temperature", -40.0, 85.0)
MOST = 65_536


def summed(values, channel=ROOM, times=None, ids=None, kernel=add_readings):
    values = np.array(values, float).reshape(-1, 1)
    number = np.arange(len(values))
    times = number if times is None else np.array(times, np.int64)
    ids = number if ids is None else np.array(ids, np.int64)
    devices, sums = new_sums(1, 1)
    steps = steps_of([channel]).of(values)
    kernel(np.zeros(len(values), np.int64), times, ids, values, steps, devices, sums)
    return devices, sums


def told(values, channel=ROOM):
    result = statistics(summed(values, channel)[1], steps_of([channel]))
    return {name: float(array[0, 0]) for name, array in result.items()}


LIMITS = st.tuples(
    st.floats(-(2.0**62), 2.0**62, allow_nan=False), st.floats(-(2.0**62), 2.0**62, allow_nan=False)
).filter(lambda pair: pair[0] < pair[1])


@st.composite
def channel_and_values(draw, within=True):
    low, high = draw(LIMITS)
    bounds = (low, high) if within else (None, None)
    number = st.floats(*bounds, allow_nan=False, allow_infinity=False)
    values = draw(st.lists(number, min_size=1, max_size=40))
    return Channel("any", low, high, keep=not within), values


@settings(max_examples=200)
@given(channel_and_values())
def test_statistics_are_those_of_the_values_within_the_steps(case):
    channel, values = case
    result, size = told(values, channel), steps_of([channel]).size[0]
    assert result["min"] == min(values)
    assert result["max"] == max(values)
    assert (result["first"], result["last"]) == (values[0], values[-1])
    scale = max(map(abs, values)) * 2.0**-52
    # Half a fine step, and the double's own last bits.
    assert abs(result["mean"] - exact.fmean(values)) <= size / 2 + 2 * scale
    coarse = size * 2.0**SHIFT
    # Cutting each value to a coarse step moves it, and so the deviation, by less than one step.
    expected = float(np.std(np.array(values) / coarse)) * coarse
    assert abs(result["std"] - expected) <= 1.001 * coarse + 2 * scale


@settings(max_examples=200)
@given(channel_and_values(within=False))
def test_whatever_is_kept_the_mean_lies_between_min_and_max_and_all_is_finite(case):
    channel, values = case
    result = told(values, channel)
    assert result["min"] <= result["mean"] <= result["max"]
    assert result["std"] >= 0.0
    assert all(map(math.isfinite, result.values()))
    assert (result["min"], result["max"]) == (min(values), max(values))


@given(channel_and_values(within=False), st.integers(1, 50))
@settings(max_examples=100)
def test_equal_values_have_themselves_as_mean_and_no_deviation(case, number):
    channel, (value, *_) = case
    result = told([value] * number, channel)
    assert {result[n] for n in ("mean", "min", "max", "first", "last")} == {value}
    assert result["std"] == 0.0


def test_many_equal_values_have_no_deviation_either():
    # Their squares add up beyond what a double holds exactly.
    assert told([-39.9] * 49_999)["std"] == 0.0


def test_a_room_is_summed_to_a_billionth_and_its_deviation_to_a_hundred_thousandth():
    values = [21.3, 21.4, 21.2, 22.0, 20.9]
    result = told(values)
    assert result["mean"] == pytest.approx(np.mean(values), abs=1e-10)
    assert result["std"] == pytest.approx(np.std(values), abs=3e-5)


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [
        ([85.0], 85.0, 0.0),
        ([84.7], 84.7, 0.0),
        ([-40.0, 85.0], 22.5, 62.5),
        # Kept outliers count as twice the range from the middle, which is the worst for 64 bits.
        ([1e300, -1e300], 22.5, 256.0),
        ([-1e300, -2e300], -1e300, 0.0),
    ],
)
def test_the_most_readings_of_a_minute_fit(values, mean, deviation):
    result = told(values * (MOST // len(values)))
    assert result["mean"] == pytest.approx(mean, rel=1e-6)
    assert result["std"] == pytest.approx(deviation, rel=1e-6)


def test_missing_values_are_not_counted_and_a_channel_without_any_says_nothing():
    devices, sums = summed([float("nan"), 20.0, float("nan")])
    assert devices["readings"].tolist() == [3]
    assert sums["count"].tolist() == [[1]]
    nothing = told([float("nan")] * 3)
    assert all(math.isnan(value) for value in nothing.values())


def test_first_and_last_go_by_time_and_then_by_id():
    times, ids = [5, 5, 9, 9, 7], [2, 1, 4, 3, 9]
    _, sums = summed([10.0, 11.0, 12.0, 13.0, 14.0], times=times, ids=ids)
    assert (sums["first"][0, 0], sums["last"][0, 0]) == (11.0, 12.0)


def test_the_smallest_and_largest_times_and_ids_are_times_and_ids_like_any_other():
    least, most = -(2**63), 2**63 - 1
    devices, sums = summed([10.0, 11.0], times=[least, most], ids=[least, most])
    assert (sums["first"][0, 0], sums["last"][0, 0]) == (10.0, 11.0)
    assert devices["last_id"][0] == most


def by_attribute(sums):
    """The same arrays as the kernels' source takes them where it is not compiled."""
    return [array.view(np.recarray) for array in sums]


@st.composite
def parts(draw):
    number = draw(st.integers(1, 40))
    group = draw(st.lists(st.integers(0, 2), min_size=number, max_size=number))
    value = st.one_of(
        st.floats(-40, 85),
        st.floats(allow_nan=True, allow_infinity=False),
        st.sampled_from((float("nan"), -40.0, 85.0)),
    )
    values = draw(st.lists(value, min_size=2 * number, max_size=2 * number))
    times = draw(st.lists(st.integers(0, 3), min_size=number, max_size=number))
    order = draw(st.permutations(range(number)))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, number - 1)), max_size=5)))
    # Zeros of both signs are made one by channel_values, before they are summed.
    return group, np.array(values).reshape(-1, 2) + 0.0, times, order, cuts


@settings(max_examples=150)
@given(parts())
def test_any_order_and_any_parts_add_up_to_the_same_bytes_compiled_or_not(case):
    group, values, times, order, cuts = case
    steps = steps_of([ROOM, ROOM]).of(values)
    columns = (np.array(group), np.array(times), np.arange(len(group)), values, steps)
    whole = new_sums(3, 2)
    add_readings.py_func(*columns, *by_attribute(whole))
    total, plain = new_sums(3, 2), new_sums(3, 2)
    for chosen in np.split(np.array(order), cuts):
        part = new_sums(3, 2)
        add_readings(*(np.ascontiguousarray(column[chosen]) for column in columns), *part)
        add_sums(np.arange(3), *part, *total)
        add_sums.py_func(np.arange(3), *by_attribute(part), *by_attribute(plain))
    for one, other, third in zip(whole, total, plain, strict=True):
        assert one.tobytes() == other.tobytes() == third.tobytes()


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1e-300), (-(2.0**62), 2.0**62), (0.0, 1e-320), (0.0, 5e-324)]
)
def test_steps_of_a_tiny_and_of_the_widest_channel_stay_finite(low, high):
    steps = steps_of([Channel("any", low, high)])
    values = np.array([[low], [high], [1e308], [-1e308], [float("nan")]])
    first, last, above, below, missing = steps.of(values)[:, 0].tolist()
    assert -(2**39) <= first <= last <= 2**39
    assert (above, below, missing) == (2**41, -(2**41), 0)
