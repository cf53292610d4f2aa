import numpy as np
import pytest

from benchmarks.quality.contenders import CONTENDERS, Unavailable
from benchmarks.quality.evaluation import FIRST, judge
from benchmarks.quality.sets import DataSet, Device
from eddyline.detectors.channel import Channel
from eddyline.detectors.density.detector import Density

CHANNELS = (Channel("a", -1e3, 1e3), Channel("b", -1e3, 1e3))


def device(rows=700, burst=slice(600, 610)):
    random = np.random.default_rng(5)
    values = random.normal(size=(rows, 2))
    values[burst, 0] += 40.0
    label = np.zeros(rows, np.bool_)
    label[burst] = True
    return Device("d", np.arange(rows) * 60_000_000, values, label)


def observe(name, one):
    channels = CHANNELS[: one.values.shape[1]]
    contender = CONTENDERS[name]
    try:
        return contender.observe(channels, one, contender.seeds[0])
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "windowed_gaussian"])
def test_a_contender_sees_a_burst_and_knows_no_future(name):
    one = device()
    said = observe(name, one)
    measures = judge(DataSet("d", "rows", CHANNELS, (one,)), [said])
    assert measures["auc"] > 0.8
    half = observe(name, one._replace(event_time=one.event_time[:650], values=one.values[:650]))
    assert np.array_equal(half.condition, said.condition[:650], equal_nan=True)
    assert np.array_equal(half.alarm, said.alarm[:650])


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "windowed_gaussian"])
def test_a_contender_answers_missing_values(name):
    one = device()
    values = one.values.copy()
    values[::7, 1] = np.nan
    values[300] = np.nan
    said = observe(name, one._replace(values=values))
    assert len(said.alarm) == len(values)


def test_a_record_of_the_event_score_is_an_event_alarm_at_the_fixed_threshold():
    random = np.random.default_rng(11)
    one = device(rows=3000)
    one.values[random.integers(300, 3000, 40), 1] += random.normal(0.0, 20.0, 40)
    said = observe("density", one)
    assert said.detection.sum() >= 3
    assert ((said.novelty >= Density(CHANNELS).event_threshold) == said.detection).all()


def test_the_windowed_gaussian_is_for_one_channel():
    with pytest.raises(Unavailable, match="one channel"):
        CONTENDERS["windowed_gaussian"].observe(CHANNELS, device(), 0)


def test_rows_for_learning_are_not_judged():
    one = device(burst=slice(0, FIRST))
    said = observe("river_gaussian", one)
    measures = judge(DataSet("d", "rows", CHANNELS, (one,)), [said])
    assert "auc" not in measures
    assert "event_recall" not in measures
