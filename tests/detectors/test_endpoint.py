import numpy as np
import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.endpoint import Endpoint
from eddyline.detectors.protocol import Verdict

TEMPERATURE = Channel("temperature", -40.0, 85.0, unit="°C")
HUMIDITY = Channel("humidity", 0.0, 100.0, unit="%")
ROOM = (TEMPERATURE, HUMIDITY)


def observe(detector, given, values, device=None):
    values = np.column_stack([given, np.array(values, dtype=float)])
    device = np.zeros(len(values), np.int32) if device is None else np.array(device, np.int32)
    return detector.observe(detector.new(2), device, np.arange(len(values)), values)


def steady(rows):
    return [[20 + row % 2 / 2, 50 + row % 3] for row in range(rows)]


def test_the_score_is_the_endpoints_and_the_threshold_makes_the_verdict():
    given = [0.1, 0.5, 0.49999, 0.9, -3.0, 7e9]
    scores = observe(Endpoint(ROOM, threshold=0.5), given, steady(6))
    assert scores.score.tolist() == given
    assert [Verdict(v).name for v in scores.verdict] == [
        "NORMAL", "ANOMALY", "NORMAL", "ANOMALY", "NORMAL", "ANOMALY",
    ]  # fmt: skip
    assert sorted(scores.explanations) == [1, 3, 5]


@pytest.mark.parametrize("given", [np.nan, np.inf, -np.inf])
def test_a_reading_without_a_score_is_unscored_and_still_learned(given):
    detector = Endpoint(ROOM)
    state = detector.new(1)
    rows = np.column_stack([[given] * 3, steady(3)])
    scores = detector.observe(state, np.zeros(3, np.int32), np.arange(3), rows)
    assert (scores.verdict == Verdict.UNSCORED).all()
    assert np.isnan(scores.score).all()
    assert state["channel"]["seen"].tolist() == [[3, 3]]


def test_an_explanation_names_the_channel_that_is_farthest_from_its_mean():
    values = [*steady(100), [20.0, 95.0]]
    told = observe(Endpoint(ROOM), [0.1] * 100 + [0.8], values).explanations[100]
    assert told.channels == ("humidity", "temperature")
    assert told.sign == "endpoint"
    assert (told.observed, round(told.expected)) == (95.0, 51)
    assert told.sentence.startswith(
        "the endpoint gave 0.8, its threshold is 0.5; humidity 95.0 %, expected "
    )


def test_a_device_that_is_new_has_an_anomaly_without_an_expected_value():
    told = observe(Endpoint(ROOM), [0.8], [[20.0, np.nan]]).explanations[0]
    assert told.channels[0] == "temperature"
    assert np.isnan(told.expected)
    assert "the first value of this channel" in told.sentence
    nothing = observe(Endpoint(ROOM), [0.8], [[np.nan, np.nan]]).explanations[0]
    assert nothing.sentence == "the endpoint gave 0.8, its threshold is 0.5"


def test_the_warm_up_counts_each_devices_readings():
    device = [0, 1, 0, 0, 1, 0]
    scores = observe(Endpoint(ROOM, warm_up=2), [0.9] * 6, steady(6), device)
    warming = (scores.verdict == Verdict.WARM_UP).tolist()
    assert warming == [True, True, True, False, True, False]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"threshold": "high"}, "threshold: 'high' is not a number"),
        ({"threshold": float("nan")}, "threshold: nan is not"),
        ({"warm_up": -1}, "warm_up: -1 is not a whole number from 0"),
        ({"window": 1}, "window: 1 is not a whole number from 2"),
    ],
)
def test_wrong_settings_are_told(wrong, words):
    with pytest.raises(ValueError, match=words):
        Endpoint(ROOM, **wrong)


def test_a_channel_is_needed():
    with pytest.raises(ValueError, match="at least one is needed"):
        Endpoint(())
