from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.detectors.channel import Channel
from eddyline.detectors.moving_average import MovingAverage
from eddyline.detectors.protocol import RecordRefused, Verdict

GOLDEN = Path(__file__).with_name("golden") / "moving_average_v1.bin"
TEMPERATURE = Channel("temperature", -40.0, 85.0, unit="°C")
HUMIDITY = Channel("humidity", 0.0, 100.0, unit="%")
PRESSURE = Channel("pressure", 300.0, 1100.0, unit="hPa")
ROOM = (TEMPERATURE, HUMIDITY, PRESSURE)


def observe(detector, values, state=None):
    state = detector.new(1) if state is None else state
    values = np.array(values, dtype=float).reshape(-1, len(detector.channels))
    return detector.observe(state, np.zeros(len(values)), np.arange(len(values)), values)


@given(st.lists(st.floats(-40, 85), min_size=2, max_size=40), st.floats(-40, 85))
def test_within_the_window_it_is_the_plain_mean_and_deviation(before, value):
    detector = MovingAverage((TEMPERATURE,), window=len(before))
    state = detector.new(1)
    observe(detector, before, state)
    step = 0.5 * state["channel"]["step"][0, 0] + 1e-9 * abs(np.mean(before)) + 1e-12
    wanted = abs(value - np.mean(before)) / (np.std(before) + step)
    # Two ways to the same sums: they part where the readings hardly do.
    assert observe(detector, [value], state).score[0] == pytest.approx(wanted, rel=1e-3, abs=1e-3)


def test_beyond_the_window_the_past_fades_by_one_over_e_in_a_window():
    detector = MovingAverage((TEMPERATURE,), window=60)
    state = detector.new(1)
    observe(detector, [20.0] * 60 + [30.0] * 60, state)
    assert state["channel"]["mean"][0, 0] == pytest.approx(30 - 10 / np.e, abs=0.05)


def test_the_score_is_the_largest_distance_of_a_channel():
    values = np.stack([np.tile([20.0, 21.0], 50), np.tile([40.0, 60.0], 50)], axis=1)
    detector = MovingAverage((TEMPERATURE, HUMIDITY))
    scores = observe(detector, [*values, [25.0, 55.0]])
    alone = observe(MovingAverage((TEMPERATURE,)), [*values[:, 0], 25.0])
    assert scores.score[-1] == alone.score[-1] > 4
    told = scores.explanations[100]
    assert told.channels == ("temperature", "humidity")
    assert told.shares[0] > 0.8
    assert told.sign == "level"


def test_a_channel_that_appears_later_warms_up_by_itself():
    detector = MovingAverage((TEMPERATURE, HUMIDITY), window=10)
    values = np.stack([np.tile([20.0, 20.5], 20), np.tile([40.0, 41.0], 20)], axis=1)
    values[:25, 1] = np.nan
    values[30, 1] = 99.0
    scores = observe(detector, values)
    assert scores.verdict[9:11].tolist() == [Verdict.WARM_UP, Verdict.NORMAL]
    assert scores.verdict[30] == Verdict.NORMAL
    values[38, 1] = 99.0
    values[30, 1] = 40.0
    assert observe(detector, values).explanations[38].channels[0] == "humidity"


def test_a_reading_without_any_value_is_unscored():
    scores = observe(MovingAverage((TEMPERATURE,), window=5), [np.nan, *[20.0] * 6, np.nan])
    assert scores.verdict[[0, 1, 6, 7]].tolist() == [
        Verdict.UNSCORED,
        Verdict.WARM_UP,
        Verdict.NORMAL,
        Verdict.UNSCORED,
    ]


def test_the_smallest_step_of_a_coarse_sensor_is_no_anomaly():
    # It stands for long enough that its deviation is all but gone.
    values = [20.0, 20.5] * 30 + [20.0] * 600
    assert observe(MovingAverage((TEMPERATURE,)), [*values, 20.5]).score[-1] < 4
    assert observe(MovingAverage((TEMPERATURE,)), [*values, 25.0]).score[-1] > 4


def test_a_boolean_that_changes_for_the_first_time_is_no_anomaly():
    door = Channel("door", 0.0, 1.0, "boolean")
    assert observe(MovingAverage((door,)), [0.0] * 500 + [1.0]).score[-1] < 4


def test_a_double_that_moves_for_the_first_time_is_one_and_told_so():
    told = observe(MovingAverage((TEMPERATURE,)), [20.0] * 100 + [20.1]).explanations[100]
    assert told.expected == 20.0
    assert "temperature 20.1" in told.sentence


@pytest.mark.parametrize(
    "setting", [{"threshold": 0}, {"threshold": "4"}, {"window": 1}, {"window": 60.5}]
)
def test_a_setting_out_of_its_range_is_refused_by_name(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"moving_average: {name}"):
        MovingAverage(ROOM, **setting)
    with pytest.raises(ValueError, match="moving_average: channels"):
        MovingAverage(())


def test_a_new_channel_keeps_what_the_others_learned():
    two = MovingAverage((TEMPERATURE, HUMIDITY), window=10)
    state = two.new(1)
    observe(two, np.tile([[20.0, 40.0], [20.5, 41.0]], (10, 1)), state)
    three = MovingAverage((HUMIDITY, PRESSURE, TEMPERATURE), window=10)
    moved = three.new(1)
    three.decode(two.encode(state, 0), moved, 0)
    assert moved["channel"]["seen"][0].tolist() == [20, 0, 20]
    scores = observe(three, [[40.5, 1013.0, 70.0]], moved)
    assert scores.explanations[0].channels[0] == "temperature"
    with pytest.raises(RecordRefused, match="settings"):
        MovingAverage((TEMPERATURE, HUMIDITY)).decode(two.encode(state, 0), two.new(1), 0)


def test_the_golden_record_of_version_1_decodes():
    detector = MovingAverage(ROOM)
    state = detector.new(1)
    detector.decode(GOLDEN.read_bytes(), state, 0)
    assert state["channel"]["seen"][0].tolist() == [600, 599, 600]
    # The scores of three readings more, as they were when the record was written.
    after = [[21.0, 52.0, 1013.0], [21.0, np.nan, 1013.0], [60.0, 5.0, 900.0]]
    assert observe(detector, after, state).score.tolist() == [
        7.533731888251701,
        5.35220986448701,
        491.9803115226967,
    ]
