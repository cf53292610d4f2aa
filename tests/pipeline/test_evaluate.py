import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.simulate import Fault, Simulation, simulate
from eddyline.pipeline.evaluate import DAY, MINUTE, evaluate

HOUR = 60 * MINUTE
BIAS = Fault("a", "bias", "humidity", 2 * HOUR, 3 * HOUR, 9.0)


def told(*rows, **columns):
    return pa.table(
        {
            "device_id": pa.array([device for device, _ in rows], pa.string()),
            "event_time": pa.array([time for _, time in rows], pa.int64()),
            **columns,
        }
    )


def judged(faults, *rows, devices=("a", "b"), **settings):
    return evaluate(faults, told(*rows), devices, 0, 12 * HOUR, **settings)


def test_an_anomaly_inside_finds_the_fault_and_the_first_one_gives_the_delay():
    result = judged([BIAS], ("a", 2 * HOUR + 9 * MINUTE), ("a", 2 * HOUR + 5 * MINUTE))
    (kind,) = result.kinds
    assert (kind.kind, kind.planted, kind.found, kind.missed) == ("bias", 1, 1, 0)
    assert kind.median_delay == kind.longest_delay == 300.0
    assert result.outcomes[0].found
    assert result.false_alarms == 0


@pytest.mark.parametrize(
    ("time", "found"),
    [(2 * HOUR - 1, 0), (2 * HOUR, 1), (3 * HOUR, 1), (3 * HOUR + 1, 0)],
)
def test_start_and_end_belong_to_the_fault_and_nothing_else_does(time, found):
    assert judged([BIAS], ("a", time)).kinds[0].found == found


def test_another_device_finds_nothing():
    result = judged([BIAS], ("b", 2 * HOUR + MINUTE))
    assert result.kinds[0].found == 0
    assert result.kinds[0].median_delay is None
    assert result.kinds[0].longest_delay is None
    assert result.false_alarms == 1
    assert result.noisy_devices == (("b", 1),)


def test_a_device_that_was_alarming_before_finds_it_but_not_anew():
    inside = ("a", 2 * HOUR + MINUTE)
    assert judged([BIAS], ("a", 2 * HOUR - 5 * MINUTE), inside).kinds[0].found_anew == 0
    assert judged([BIAS], ("a", 2 * HOUR - 11 * MINUTE), inside).kinds[0].found_anew == 1
    assert judged([BIAS], inside).kinds[0].found_anew == 1
    assert judged([BIAS]).kinds[0].found_anew == 0


def test_anomalies_within_ten_minutes_of_one_another_are_one_alarm():
    chain = [("b", n * 10 * MINUTE) for n in range(1, 6)]
    assert judged([], *chain).false_alarms == 1
    assert judged([], *chain, gap=9 * MINUTE).false_alarms == 5
    assert judged([], ("b", HOUR), ("b", HOUR + 10 * MINUTE + 1)).false_alarms == 2


def test_devices_alarm_for_themselves():
    assert judged([], ("a", HOUR), ("b", HOUR)).false_alarms == 2


def test_the_grace_after_a_fault_is_neither_found_nor_false():
    result = judged([BIAS], ("a", 3 * HOUR + 5 * MINUTE))
    assert (result.kinds[0].found, result.false_alarms) == (0, 0)
    assert judged([BIAS], ("a", 3 * HOUR + 10 * MINUTE + 1)).false_alarms == 1
    assert judged([BIAS], ("a", 3 * HOUR + 5 * MINUTE), grace=0).false_alarms == 1


def test_false_alarms_are_told_per_device_day_outside_faults_and_grace():
    result = judged([BIAS], ("b", HOUR), ("b", 5 * HOUR))
    assert result.healthy_days == pytest.approx((2 * 12 - 1 - 1 / 6) / 24)
    assert result.false_alarms_a_device_day == pytest.approx(2 / result.healthy_days)


def test_a_fleet_that_is_faulty_all_the_time_has_no_rate():
    always = Fault("a", "silence", None, 0, 12 * HOUR, None)
    result = judged([always], devices=("a",))
    assert result.healthy_days == 0
    assert math.isnan(result.false_alarms_a_device_day)
    assert math.isnan(result.kinds[0].chance)


def test_chance_is_the_share_of_places_from_which_a_window_reaches_an_anomaly():
    # Windows of an hour on b: 11 hours of places, one of them hits. On a: 1 + 7 5/6 hours, none.
    result = judged([BIAS], ("b", 6 * HOUR), cadence=0)
    assert result.kinds[0].chance == pytest.approx(1 / (11 + 1 + 12 - 3 - 1 / 6 - 1))
    # Two anomalies half an hour apart are reached from one and a half hours, not two.
    result = judged([BIAS], ("b", 6 * HOUR), ("b", 6 * HOUR + 30 * MINUTE), cadence=0)
    assert result.kinds[0].chance == pytest.approx(1.5 / (11 + 1 + 12 - 3 - 1 / 6 - 1))


def test_an_anomaly_at_the_edge_is_reached_from_fewer_places():
    alone = judged([], devices=("b",)).kinds
    assert alone == ()
    fault = Fault("a", "bias", None, 0, HOUR, None)
    early = evaluate(
        [fault], told(("b", 15 * MINUTE)), ["a", "b"], 0, HOUR + 30 * MINUTE, cadence=0, grace=HOUR
    )
    assert early.kinds[0].chance == pytest.approx(15 / 30)


def test_alarming_always_has_the_chance_of_one():
    everywhere = [(device, n * MINUTE) for device in "ab" for n in range(1, 720)]
    result = judged([BIAS], *everywhere)
    assert result.kinds[0].found == 1
    assert result.kinds[0].found_anew == 0
    assert result.kinds[0].chance == 1.0


def test_a_fault_of_one_reading_has_the_chance_of_one_reading():
    spike = Fault("a", "spike", "pressure", 2 * HOUR, 2 * HOUR, 30.0)
    rows = [("b", 6 * HOUR), ("b", 7 * HOUR)]
    assert judged([spike], *rows).kinds[0].chance == pytest.approx(20 / (24 * 3600), rel=0.02)


def test_anomalies_inside_other_faults_are_no_chance():
    other = Fault("b", "drift", None, 5 * HOUR, 6 * HOUR, None)
    result = judged([BIAS, other], ("b", 5 * HOUR + MINUTE))
    assert [kind.chance for kind in result.kinds] == [0.0, 0.0]


def test_the_channel_is_right_if_the_first_anomaly_names_it_first():
    rows = [("a", 2 * HOUR + MINUTE), ("a", 2 * HOUR + 2 * MINUTE)]
    lists = pa.array([["humidity", "pressure"], ["pressure"]], pa.list_(pa.string()))
    assert evaluate([BIAS], told(*rows, channels=lists), ["a"], 0, DAY).kinds[0].right_channel == (
        1,
        1,
    )
    lists = pa.array([["pressure", "humidity"], ["humidity"]], pa.list_(pa.string()))
    result = evaluate([BIAS], told(*rows, channels=lists), ["a"], 0, DAY)
    assert result.kinds[0].right_channel == (0, 1)
    names = pa.array(["humidity", None], pa.string())
    assert evaluate([BIAS], told(*rows, channel=names), ["a"], 0, DAY).outcomes[0].channel_right


def test_an_unnamed_channel_is_not_judged():
    rows = [("a", 2 * HOUR + MINUTE)]
    for columns in ({}, {"channels": pa.array([[]], pa.list_(pa.string()))}):
        result = evaluate([BIAS], told(*rows, **columns), ["a"], 0, DAY)
        assert result.outcomes[0].channel_right is None
        assert result.kinds[0].right_channel == (0, 0)


def test_only_the_watched_time_is_looked_at():
    anomalies = told(("a", HOUR), ("a", 11 * HOUR))
    result = evaluate([], anomalies, ["a"], 2 * HOUR, 10 * HOUR)
    assert result.false_alarms == 0
    assert result.healthy_days == pytest.approx(8 / 24)
    early = evaluate([BIAS], told(("a", 2 * HOUR + MINUTE)), ["a"], 2 * HOUR + 5 * MINUTE, DAY)
    assert early.kinds[0].found == 0


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_timestamps_of_any_unit_are_read(unit):
    rows = [("a", 2 * HOUR + 5 * MINUTE)]
    times = told(*rows)["event_time"].cast(pa.timestamp("us", tz="UTC"))
    table = told(*rows).set_column(1, "event_time", times.cast(pa.timestamp(unit, tz="UTC")))
    assert evaluate([BIAS], table, ["a"], 0, DAY).kinds[0].median_delay == 300.0


def test_kinds_are_told_apart():
    spike = Fault("b", "spike", "pressure", 4 * HOUR, 4 * HOUR, 30.0)
    result = judged([spike, BIAS], ("a", 2 * HOUR + MINUTE))
    assert [(k.kind, k.planted, k.found) for k in result.kinds] == [("bias", 1, 1), ("spike", 1, 0)]
    assert [outcome.fault for outcome in result.outcomes] == [spike, BIAS]


def test_what_does_not_belong_is_refused():
    with pytest.raises(ValueError, match="'z'"):
        judged([], ("z", HOUR))
    with pytest.raises(ValueError, match="'z'"):
        judged([BIAS._replace(device_id="z")])
    with pytest.raises(ValueError, match="not after"):
        evaluate([], told(), ["a"], HOUR, HOUR)
    with pytest.raises(KeyError):
        evaluate([], told().drop_columns(["event_time"]), ["a"], 0, HOUR)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12 * 60)), max_size=30), st.randoms()
)
def test_order_and_repetition_of_the_anomalies_do_not_matter(rows, random):
    rows = [(device, minute * MINUTE) for device, minute in rows]
    mixed = rows + rows[: len(rows) // 2]
    random.shuffle(mixed)
    assert judged([BIAS], *rows) == judged([BIAS], *mixed)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 12 * 60 - 1)), max_size=12),
    st.integers(0, 90),
)
def test_chance_agrees_with_trying_every_minute(rows, length):
    """The exact measure against its sampling, with windows that start between two minutes."""
    fault = BIAS._replace(end=BIAS.start + length * MINUTE)
    rows = [(device, minute * MINUTE) for device, minute in rows]
    result = judged([fault], *rows, cadence=0, grace=0)
    spans = [("a", 0, fault.start), ("a", fault.end, 12 * HOUR), ("b", 0, 12 * HOUR)]
    places = hits = 0
    for device, first, last in spans:
        inside = [at for who, at in rows if who == device and first < at < last]
        for start in range(first + MINUTE // 2, last - length * MINUTE, MINUTE):
            places += 1
            hits += any(start <= at <= start + length * MINUTE for at in inside)
    assert result.kinds[0].chance == pytest.approx(hits / places)


def test_a_simulation_told_perfectly_is_found_perfectly():
    truth = simulate(Simulation(devices=18, hours=3.0, faulty=0.8)).truth
    devices = {fault.device_id for fault in truth.faults}
    rows = [(fault.device_id, fault.start) for fault in truth.faults]
    result = evaluate(truth.faults, told(*rows), devices, truth.start, truth.end)
    assert all(outcome.found and outcome.anew for outcome in result.outcomes)
    assert result.false_alarms == 0
    assert {kind.chance for kind in result.kinds} == {0.0}
