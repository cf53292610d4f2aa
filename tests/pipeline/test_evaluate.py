import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.simulate import Fault, Outage, Simulation, simulate
from eddyline.pipeline.evaluate import DAY, MINUTE, evaluate

HOUR = 60 * MINUTE
BIAS = Fault("a", "bias", "humidity", 2 * HOUR, 3 * HOUR, 9.0)
SITES = {"a": "mill", "b": "mill"}


def told(*rows, kind="condition", transition="opened", channels=None):
    return pa.table(
        {
            "transition": pa.array([transition] * len(rows), pa.string()),
            "kind": pa.array([kind] * len(rows), pa.string()),
            "device_id": pa.array([device for device, _ in rows], pa.string()),
            "site": pa.array(["mill"] * len(rows), pa.string()),
            "opened_at": pa.array([time for _, time in rows], pa.int64()),
            "channels": pa.array(channels or [[] for _ in rows], pa.list_(pa.string())),
        }
    )


def judged(faults, *rows, devices=SITES, **settings):
    return evaluate(faults, told(*rows), devices, 0, 12 * HOUR, **settings)


def test_an_incident_inside_finds_the_fault_and_the_first_one_gives_the_delay():
    result = judged([BIAS], ("a", 2 * HOUR + 9 * MINUTE), ("a", 2 * HOUR + 5 * MINUTE))
    (kind,) = result.kinds
    assert (kind.kind, kind.planted, kind.found, kind.missed) == ("bias", 1, 1, 0)
    assert kind.median_delay == kind.longest_delay == 300.0
    assert result.outcomes[0].found
    assert result.false_incidents == {}


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
    assert result.false_incidents == {"condition": 1}
    assert result.noisy_devices == (("b", 1),)


def test_each_incident_counts_for_itself():
    rows = [("a", HOUR), ("b", HOUR), ("b", HOUR + MINUTE)]
    assert judged([], *rows).false_incidents == {"condition": 3}


def test_the_grace_after_a_fault_is_neither_found_nor_false():
    result = judged([BIAS], ("a", 3 * HOUR + 5 * MINUTE))
    assert (result.kinds[0].found, result.false_incidents) == (0, {})
    assert judged([BIAS], ("a", 3 * HOUR + 10 * MINUTE + 1)).false_incidents == {"condition": 1}
    assert judged([BIAS], ("a", 3 * HOUR + 5 * MINUTE), grace=0).false_incidents == {"condition": 1}


def test_false_alarms_are_told_per_device_day_outside_faults_and_grace():
    result = judged([BIAS], ("b", HOUR), ("b", 5 * HOUR))
    assert result.healthy_days == pytest.approx((2 * 12 - 1 - 1 / 6) / 24)
    assert result.false_incidents_a_device_day == pytest.approx(2 / result.healthy_days)


def test_a_fleet_that_is_faulty_all_the_time_has_no_rate():
    always = Fault("a", "silence", None, 0, 12 * HOUR, None)
    result = judged([always], devices={"a": "mill"})
    assert result.healthy_days == 0
    assert math.isnan(result.false_incidents_a_device_day)
    assert math.isnan(result.kinds[0].chance)


def test_chance_is_the_share_of_places_from_which_a_window_reaches_an_opening():
    # Windows of an hour on b: 11 hours of places, one of them hits. On a: 1 + 7 5/6 hours, none.
    result = judged([BIAS], ("b", 6 * HOUR), cadence=0)
    assert result.kinds[0].chance == pytest.approx(1 / (11 + 1 + 12 - 3 - 1 / 6 - 1))
    # Two openings half an hour apart are reached from one and a half hours, not two.
    result = judged([BIAS], ("b", 6 * HOUR), ("b", 6 * HOUR + 30 * MINUTE), cadence=0)
    assert result.kinds[0].chance == pytest.approx(1.5 / (11 + 1 + 12 - 3 - 1 / 6 - 1))


def test_an_opening_at_the_edge_is_reached_from_fewer_places():
    alone = judged([], devices={"b": "mill"}).kinds
    assert alone == ()
    fault = Fault("a", "bias", None, 0, HOUR, None)
    early = evaluate(
        [fault], told(("b", 15 * MINUTE)), SITES, 0, HOUR + 30 * MINUTE, cadence=0, grace=HOUR
    )
    assert early.kinds[0].chance == pytest.approx(15 / 30)


def test_opening_always_has_the_chance_of_one():
    everywhere = [(device, n * MINUTE) for device in "ab" for n in range(1, 720)]
    result = judged([BIAS], *everywhere)
    assert result.kinds[0].found == 1
    assert result.kinds[0].chance == 1.0


def test_a_fault_of_one_reading_has_the_chance_of_one_reading():
    spike = Fault("a", "spike", "pressure", 2 * HOUR, 2 * HOUR, 30.0)
    rows = [("b", 6 * HOUR), ("b", 7 * HOUR)]
    assert judged([spike], *rows).kinds[0].chance == pytest.approx(20 / (24 * 3600), rel=0.02)


def test_incidents_inside_other_faults_are_no_chance():
    other = Fault("b", "drift", None, 5 * HOUR, 6 * HOUR, None)
    result = judged([BIAS, other], ("b", 5 * HOUR + MINUTE))
    assert [kind.chance for kind in result.kinds] == [0.0, 0.0]


def test_the_channel_is_right_if_the_first_incident_names_it_first():
    rows = [("a", 2 * HOUR + MINUTE), ("a", 2 * HOUR + 2 * MINUTE)]
    right = told(*rows, channels=[["humidity", "pressure"], ["pressure"]])
    assert evaluate([BIAS], right, SITES, 0, DAY).kinds[0].right_channel == (1, 1)
    wrong = told(*rows, channels=[["pressure", "humidity"], ["humidity"]])
    assert evaluate([BIAS], wrong, SITES, 0, DAY).kinds[0].right_channel == (0, 1)


def test_an_unnamed_channel_is_not_judged():
    result = evaluate([BIAS], told(("a", 2 * HOUR + MINUTE)), SITES, 0, DAY)
    assert result.outcomes[0].channel_right is None
    assert result.kinds[0].right_channel == (0, 0)


def test_further_incidents_of_a_fault_are_repeats_and_not_false():
    rows = [("a", 2 * HOUR + MINUTE), ("a", 2 * HOUR + 9 * MINUTE), ("a", 3 * HOUR + MINUTE)]
    result = judged([BIAS], *rows)
    assert (result.kinds[0].found, result.kinds[0].repeats) == (1, 2)
    assert result.false_incidents == {}


def test_only_openings_count():
    rows = told(("a", 2 * HOUR + MINUTE), ("b", HOUR), transition="resolved")
    result = evaluate([BIAS], rows, SITES, 0, DAY)
    assert (result.kinds[0].found, result.false_incidents) == (0, {})


def test_a_silence_is_found_by_a_silent_incident_only():
    silence = BIAS._replace(kind="silence", channel=None)
    at = ("a", 2 * HOUR + MINUTE)
    assert evaluate([silence], told(at), SITES, 0, DAY).kinds[0].found == 0
    assert evaluate([silence], told(at, kind="silent"), SITES, 0, DAY).kinds[0].found == 1


def test_faults_without_a_sharp_edge_are_counted_apart():
    drift = BIAS._replace(kind="drift", device_id="b")
    result = judged([BIAS, drift], ("a", 2 * HOUR + MINUTE))
    assert result.recall == 1.0
    assert math.isnan(judged([drift]).recall)


def test_an_outage_is_found_by_a_storm_of_its_site_and_excuses_its_devices():
    outage = Outage("mill", 2, 5 * HOUR, 6 * HOUR)
    storm = told(("a", 5 * HOUR + MINUTE), kind="storm")
    late = told(("a", 6 * HOUR + 11 * MINUTE), kind="storm")
    silent = told(("a", 5 * HOUR + MINUTE), ("b", 5 * HOUR + MINUTE), kind="silent")
    both = pa.concat_tables([storm, silent])
    assert evaluate([], both, SITES, 0, DAY, outages=[outage]).outages == (1, 1)
    assert evaluate([], both, SITES, 0, DAY, outages=[outage]).false_incidents == {}
    assert evaluate([], late, SITES, 0, DAY, outages=[outage]).outages == (1, 0)
    other = Outage("quarry", 2, 5 * HOUR, 6 * HOUR)
    assert evaluate([], both, SITES, 0, DAY, outages=[other]).outages == (1, 0)
    assert evaluate([], both, SITES, 0, DAY, outages=[other]).false_incidents == {"silent": 2}


def test_only_the_watched_time_is_looked_at():
    anomalies = told(("a", HOUR), ("a", 11 * HOUR))
    result = evaluate([], anomalies, {"a": "mill"}, 2 * HOUR, 10 * HOUR)
    assert result.false_incidents == {}
    assert result.healthy_days == pytest.approx(8 / 24)
    early = evaluate(
        [BIAS], told(("a", 2 * HOUR + MINUTE)), {"a": "mill"}, 2 * HOUR + 5 * MINUTE, DAY
    )
    assert early.kinds[0].found == 0


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_timestamps_of_any_unit_are_read(unit):
    table = told(("a", 2 * HOUR + 5 * MINUTE))
    times = table["opened_at"].cast(pa.timestamp("us", tz="UTC"))
    table = table.set_column(4, "opened_at", times.cast(pa.timestamp(unit, tz="UTC")))
    assert evaluate([BIAS], table, SITES, 0, DAY).kinds[0].median_delay == 300.0


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
        evaluate([], told(), {"a": "mill"}, HOUR, HOUR)
    with pytest.raises(KeyError):
        evaluate([], told().drop_columns(["opened_at"]), {"a": "mill"}, 0, HOUR)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12 * 60)), max_size=30), st.randoms()
)
def test_the_order_of_the_incidents_does_not_matter(rows, random):
    rows = [(device, minute * MINUTE) for device, minute in rows]
    mixed = list(rows)
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
    devices = {fault.device_id: "mill" for fault in truth.faults}
    rows = [(fault.device_id, fault.start) for fault in truth.faults]
    result = evaluate(truth.faults, told(*rows, kind="silent"), devices, truth.start, truth.end)
    assert all(outcome.found and not outcome.repeats for outcome in result.outcomes)
    assert result.recall == 1.0
    assert result.false_incidents == {}
    assert {kind.chance for kind in result.kinds} == {0.0}
