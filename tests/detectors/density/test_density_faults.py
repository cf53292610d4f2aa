"""Planted faults are found and named; normal days stay quiet."""

import numpy as np
import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Alarm, Density
from eddyline.detectors.protocol import Verdict

DEVICES, DAYS, DAY = 24, 8, 288
LENGTH = {"spike": 1, "stuck": 200, "drift": 250, "bias": 200, "noise": 200}
SPAN = (3.0, 8.0, 1.5)
NOISE = (0.15, 0.6, 0.2)
QUANTUM = (0.1, 0.1, 0.01)
CHANNELS_ONE = (Channel("temperature", -40.0, 85.0, unit="°C"),)


def plant(values, fault, channel, at, rng):
    length = LENGTH[fault]
    column = values[at : at + length, channel]
    sign = rng.choice([-1.0, 1.0])
    if fault == "stuck":
        column[:] = column[0]
    elif fault == "drift":
        column += sign * np.linspace(0, 4 * SPAN[channel], length)
    elif fault == "noise":
        column += rng.normal(0, 8 * NOISE[channel], length)
    else:
        column += sign * 2.5 * SPAN[channel]
    column[:] = np.round(column / QUANTUM[channel]) * QUANTUM[channel]


@pytest.fixture(scope="module")
def days(weather):
    return weather(DEVICES, DAYS)


@pytest.fixture(scope="module")
def named():
    """Right and all first-named channels, over all faults of the module."""
    return []


@pytest.mark.parametrize(
    ("fault", "share"),
    [("spike", 0.75), ("stuck", 0.95), ("drift", 0.9), ("bias", 0.95), ("noise", 0.95)],
)
def test_a_planted_fault_is_found(fault, share, days, detector, observe_fleet, named):
    time, values = days[0], days[1].copy()
    rng = np.random.default_rng(5)
    planted = []
    for device in range(DEVICES):
        channel, at = int(rng.integers(3)), int(rng.integers(4 * DAY, 7 * DAY - 50))
        plant(values[device], fault, channel, at, rng)
        planted.append((channel, at))
    _, scores = observe_fleet(detector, time, values)
    found = 0
    for device, (channel, at) in enumerate(planted):
        first = device * len(time) + at
        hits = [
            row for row in range(first, first + LENGTH[fault] + 3) if row in scores.explanations
        ]
        if hits:
            found += 1
            named.append(
                scores.explanations[hits[0]].channels[0] == detector.channels[channel].name
            )
    assert found >= share * DEVICES


def test_the_first_named_channel_is_the_faulty_one(named):
    if len(named) < 3 * DEVICES:
        pytest.skip("needs the faults of the tests above")
    assert np.mean(named) >= 0.97


def test_normal_days_raise_few_alarms(days, detector, observe_fleet):
    _, scores = observe_fleet(detector, *days)
    alarms = np.mean(scores.verdict[scores.verdict != Verdict.WARM_UP] == Verdict.ANOMALY)
    assert alarms < 0.002


def test_no_alarm_during_the_warm_up_however_wild(detector):
    rng = np.random.default_rng(0)
    values = rng.standard_cauchy((300, 3)) * 1e5
    scores = detector.observe(
        detector.new(1), np.zeros(300, np.int32), np.arange(300) * 60_000_000, values
    )
    assert set(scores.verdict.tolist()) == {Verdict.WARM_UP}
    assert np.isnan(scores.score).all()
    assert not scores.explanations


def test_constant_channels_and_booleans_stay_quiet():
    detector = Density((Channel("a", 0, 1), Channel("b", 0, 1, kind="boolean")))
    rng = np.random.default_rng(0)
    values = np.stack([np.full(3000, 0.5), rng.random(3000) < 0.3], axis=1).astype(float)
    scores = detector.observe(
        detector.new(1), np.zeros(3000, np.int32), np.arange(3000) * 60_000_000, values
    )
    assert not scores.explanations


def test_a_switch_that_moves_for_the_first_time_says_so_and_is_no_drift_later():
    detector = Density((Channel("door", 0, 1, kind="boolean"),))
    rng = np.random.default_rng(0)
    values = np.zeros(6000)
    values[1000] = 1.0
    for first in range(1400, 6000, 400):
        values[first : first + int(rng.integers(5, 60))] = 1.0
    scores = detector.observe(
        detector.new(1), np.zeros(6000, np.int32), np.arange(6000) * 5_000_000, values[:, None]
    )
    assert scores.explanations[1000].sentence == "door 1, expected 0: it had not moved before"
    assert not (scores.extras["alarm"].astype(int) & Alarm.LEVEL).any()


def test_a_channel_that_stops_or_appears_is_no_alarm_by_itself(days, detector, observe_fleet):
    time, values = days[0], days[1].copy()
    values[:, 4 * DAY :, 1] = np.nan
    values[:, : 5 * DAY, 2] = np.nan
    _, scores = observe_fleet(detector, time, values)
    assert np.mean(scores.verdict == Verdict.ANOMALY) < 0.004


def test_a_new_channel_warms_up_by_itself(days, detector, observe_fleet):
    time, values = days[0], days[1][:4].copy()
    values[:, : 4 * DAY, 2] = np.nan
    values[:, 4 * DAY + 200 : 4 * DAY + 203, 2] += 500.0
    values[:, 7 * DAY : 7 * DAY + 3, 2] += 500.0
    _, scores = observe_fleet(detector, time, values)
    verdict = scores.verdict.reshape(4, -1)
    assert (verdict[:, 4 * DAY + 200 : 4 * DAY + 203] == Verdict.NORMAL).all()
    assert (verdict[:, 7 * DAY : 7 * DAY + 3] == Verdict.ANOMALY).any(axis=1).all()


def test_a_gap_of_years_is_no_alarm(days, detector, observe_fleet):
    time = days[0].copy()
    time[6 * DAY :] += 4 * 365 * 86_400_000_000
    _, scores = observe_fleet(detector, time, days[1])
    assert np.mean(scores.verdict == Verdict.ANOMALY) < 0.002


def test_a_threshold_changes_verdicts_and_not_what_is_learned(days, detector, observe_fleet):
    time, values = days[0], days[1][:4].copy()
    values[:, 5 * DAY : 5 * DAY + 40, 0] += 30.0
    loose = Density(detector.channels, event_threshold=60.0, condition_threshold=60.0)
    first, strict_scores = observe_fleet(detector, time, values)
    second, loose_scores = observe_fleet(loose, time, values)
    np.testing.assert_array_equal(first["mass"], second["mass"])
    np.testing.assert_array_equal(first["channel"], second["channel"])
    assert len(loose_scores.explanations) < len(strict_scores.explanations)


def test_the_number_of_an_event_is_its_event_score(days, detector, observe_fleet):
    time, values = days[0], days[1].copy()
    values[:, 5 * DAY, 0] += 8.0
    _, scores = observe_fleet(detector, time, values)
    alone = (scores.extras["alarm"] == Alarm.EVENT) & (scores.verdict == Verdict.ANOMALY)
    larger = np.maximum(scores.extras["event"], scores.extras["condition"])
    assert alone.any()
    np.testing.assert_array_equal(scores.score[alone], larger[alone])
    others = (scores.verdict < 2) & ~alone
    np.testing.assert_array_equal(scores.score[others], scores.extras["condition"][others])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("channels", ()), ("height", 7), ("n_trees", 0), ("warm_up", 10), ("event_threshold", -1.0)],
)
def test_a_setting_out_of_range_is_refused_by_name(setting, value, detector):
    with pytest.raises(ValueError, match=f"density: {setting}:"):
        Density(**{"channels": detector.channels, setting: value})


def test_a_stuck_value_says_so_and_a_light_that_rests_at_night_does_not():
    rng = np.random.default_rng(0)
    minutes = np.arange(8 * 288)
    light = np.maximum(0.0, np.sin((minutes - 72) * np.pi / 144)) * 800 + rng.normal(
        0, 5, len(minutes)
    )
    night = np.sin((minutes - 72) * np.pi / 144) < 0
    light[night] = 0.0
    values = np.stack([np.round(light), np.round(20 + rng.normal(0, 0.2, len(minutes)), 1)], axis=1)
    values[7 * 288 : 7 * 288 + 80, 1] = 20.0
    detector = Density((Channel("light", 0, 1000), Channel("temperature", -40, 85)))
    scores = detector.observe(
        detector.new(1), np.zeros(len(values), np.int32), minutes * 300_000_000, values
    )
    still = np.flatnonzero(scores.extras["alarm"].astype(int) & Alarm.STUCK)
    assert 7 * 288 < still[0] < 7 * 288 + 40
    told = scores.explanations[int(still[0])]
    assert (told.sign, told.channels[0]) == ("stuck", "temperature")
    assert "unchanged for" in told.sentence


def test_many_heavy_tailed_channels_do_not_alarm_all_the_time():
    rng = np.random.default_rng(0)
    channels, rows = 30, 4000
    values = rng.standard_t(2.0, (rows, channels))
    values[:, ::3] = (rng.random((rows, 10)) < 0.02) * rng.exponential(5, (rows, 10))
    values[3000:3100, 1] += np.linspace(0, 60, 100)
    detector = Density(tuple(Channel(f"c{n}", -1e9, 1e9) for n in range(channels)))
    scores = detector.observe(
        detector.new(1), np.zeros(rows, np.int32), np.arange(rows) * 60_000_000, values
    )
    anomaly = scores.verdict == Verdict.ANOMALY
    assert anomaly[3000:3100].any()
    # .82 where channels have no scale of their own.
    assert anomaly[1000:3000].mean() < 0.35


@pytest.mark.parametrize("what", ["level", "noise", "stuck"])
def test_a_rebaselined_regime_is_quiet_and_a_fault_on_top_of_it_is_found(what, weather):
    detector = Density(CHANNELS_ONE)
    time, values = weather(1, 12)
    column = values[0, :, :1].copy()
    rng = np.random.default_rng(3)
    start, told = 6 * DAY, 6 * DAY + 100
    if what == "level":
        column[start:] += 20.0
    elif what == "noise":
        column[start:] += rng.normal(0, 2.0, (len(column) - start, 1)).round(1)
    else:
        column[start:] = column[start]
    device = np.zeros(len(column), np.int32)
    state = detector.new(1)
    before = detector.observe(state, device[:told], time[:told], column[:told])
    assert before.verdict[-1] == Verdict.ANOMALY
    detector.rebaseline(state, 0)
    column[10 * DAY : 10 * DAY + 10] += 60.0
    after = detector.observe(state, device[told:], time[told:], column[told:])
    quiet = after.verdict[: 10 * DAY - told] == Verdict.ANOMALY
    assert quiet.mean() < 0.01
    assert (after.verdict[10 * DAY - told : 10 * DAY - told + 10] == Verdict.ANOMALY).any()
