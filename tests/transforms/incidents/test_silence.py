"""Silence: told when the stream has moved on and the device has not, and never otherwise."""

from dataclasses import replace

import pytest

from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet
from eddyline.transforms.fleet.fleet_codec import decode_fleet, encode_fleet
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.known import Known
from eddyline.transforms.policy.policy import Flapping, Rule

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
DISORDER = 10
LIMIT = 60


class Fixed:
    """A policy of one rule."""

    def __init__(self, rule):
        self.one = rule

    def rule(self, device, site, model):
        return self.one


@pytest.fixture(scope="session")
def new_fleet(contract, plain_detector):
    def make(rule=None):
        fleet = Fleet(contract, plain_detector, DISORDER * SECOND, 64)
        if rule:
            fleet.know(Known(read_registry("d.csv", b"device_id\n", []), Fixed(rule)))
        fleet.tell(T0)
        return fleet

    return make


def steady(device, start, end, step=10, first=0):
    return [(device, t, first + t, (0.0, 0)) for t in range(start, end, step)]


class Told:
    """A fleet whose rows are told in seconds."""

    def __init__(self, fleet, readings):
        self.fleet, self.readings = fleet, readings

    def feed(self, rows):
        return self.brief(self.fleet.observe(self.readings(rows)))

    def stream(self, seconds):
        self.fleet.tell(T0 + round(seconds * SECOND))

    def due(self):
        due = self.fleet.due()
        return None if due is None else (due - T0) / SECOND

    def advance(self, seconds):
        return self.brief(self.fleet.advance(T0 + round(seconds * SECOND)))

    def brief(self, watched):
        self.rows = watched.incidents.to_pylist()
        return [
            (row["transition"], row["kind"], row["event_time"].timestamp() - T0 / SECOND)
            for row in self.rows
        ]


@pytest.fixture
def told(new_fleet, readings):
    """A fleet of which "d" reported each 10 s until 1,000 and all is in order."""

    def make(rule=None):
        one = Told(new_fleet(rule), readings)
        one.feed(steady("d", 0, 1001))
        assert one.advance(1000 + DISORDER + 1) == []
        return one

    return make


def test_a_device_is_silent_at_the_time_that_its_last_reading_and_its_cadence_make(told):
    one = told()
    one.stream(1059.9)
    assert one.due() is None
    one.stream(1070)
    assert one.due() == 1000 + LIMIT
    assert one.advance(1059.9) == []
    assert one.advance(1065) == [("opened", "silent", 1060.0)]
    (row,) = one.rows
    assert (row["sign"], row["observed"], row["expected"]) == ("silence", 60.0, 10.0)
    assert row["explanation"] == "no reading for 60 s; usually every 10 s"
    assert (row["arrival_time"], row["last_seen"].timestamp()) == (None, T0 / SECOND + 1000)
    assert one.due() is None


def test_its_return_is_told_with_the_length_of_the_gap(told):
    one = told()
    one.stream(2000)
    one.advance(1065)
    assert one.feed([("d", 1720, 9001, (0.0, 0))]) == []
    assert one.advance(1720 + DISORDER + 1) == [("resolved", "silent", 1720.0)]
    (row,) = one.rows
    assert (row["duration"], row["observed"], row["count"]) == (720.0, 720.0, 0)
    assert row["explanation"] == "readings again after 12 min"
    assert row["arrival_time"] is not None


def test_a_silence_that_only_the_next_reading_shows_gives_the_same_rows(told):
    one, late = told(), told()
    one.stream(5100)
    live = one.advance(5000) + one.feed(steady("d", 5000, 5100, first=9000))
    folded = late.feed(steady("d", 5000, 5100, first=9000))
    live, folded = live + one.advance(10**6), folded + late.advance(10**6)
    assert live[:3] == [
        ("opened", "silent", 1060.0),
        ("updated", "silent", 1060.0 + 3600),
        ("resolved", "silent", 5000.0),
    ]
    assert sorted(live) == sorted(folded)


def test_the_end_of_a_stream_makes_nobody_silent(told):
    one = told()
    one.stream(1059)
    assert one.due() is None
    assert one.fleet.advance(END_OF_TIME).incidents.num_rows == 0
    assert one.due() is None


def test_a_stalled_source_makes_nobody_silent_though_the_watermark_moves_on(told):
    one = told()
    for hours in range(1, 100):
        assert one.advance(hours * 3600) == []
        assert one.due() is None


def test_a_restarted_job_goes_on_where_the_stream_was(told, new_fleet, readings):
    one = told()
    again = new_fleet()
    decode_fleet(encode_fleet(one.fleet), again)
    one = Told(again, readings)
    # A day later the source catches up, and nobody was silent meanwhile.
    assert one.advance(1040) == []
    rows = []
    for second in range(1010, 1400, 10):
        one.stream(second)
        rows += one.feed([("d", second, second, (0.0, 0))])
        rows += one.advance(86_400 + second)
    assert rows == []


def test_a_worker_killed_in_mid_silence_tells_it_once(told, new_fleet, readings):
    one = told()
    one.stream(2000)
    before, told_now = encode_fleet(one.fleet), one.advance(1060)
    assert told_now == [("opened", "silent", 1060.0)]
    # What it did was not committed: done again, with the same id.
    first = one.rows[0]["incident_id"]
    again = new_fleet()
    decode_fleet(before, again)
    one = Told(again, readings)
    assert one.due() == 1060
    assert one.advance(1060) == told_now
    assert one.rows[0]["incident_id"] == first
    # It was committed: never again.
    again = new_fleet()
    decode_fleet(encode_fleet(one.fleet), again)
    one = Told(again, readings)
    assert one.due() is None
    assert one.advance(1990) == []
    assert one.feed(steady("d", 1990, 2010)) + one.advance(2020) == [("resolved", "silent", 1990.0)]


def test_readings_that_wait_count_as_seen(told):
    one = told()
    one.stream(3000)
    one.feed([("d", 1055, 9001, (0.0, 0))])
    assert one.advance(1064) == []
    assert one.due() == 1055 + DISORDER + 0.000001
    assert one.advance(1070) == []
    assert one.due() == 1055 + LIMIT


def test_a_device_with_less_than_ten_gaps_is_never_silent(new_fleet, readings):
    one = Told(new_fleet(), readings)
    one.feed(steady("d", 0, 100))
    one.stream(999_999)
    assert one.advance(999_999) == []
    assert one.due() is None


def test_reminders_of_a_silence_come_by_the_streams_own_time(told):
    one = told()
    one.stream(5000)
    one.advance(1060)
    assert one.due() == 1060 + 3600
    assert one.advance(4999) == [("updated", "silent", 4660.0)]
    assert one.rows[0]["explanation"] == "no reading for 61 min; usually every 10 s"
    assert one.rows[0]["severity"] == "error"
    one.stream(200_000)
    assert [at for _, _, at in one.advance(200_000)] == [1060.0 + 14_400, 1060.0 + 86_400, 173_860]


def test_data_that_was_held_up_is_no_silence_and_is_waited_for_after_that(told):
    one = told()
    rows = []
    # A gateway that sends every five minutes what it gathered.
    for upload in range(1300, 9000, 300):
        one.stream(upload)
        rows += one.advance(upload - DISORDER)
        rows += one.feed(steady("d", upload - 290, upload + 1))
    assert [name for name, _, _ in rows] == ["opened", "resolved"]
    assert one.fleet.casebook.troubles["d"].open == ()


def test_a_device_that_falls_silent_again_and_again_is_flapping(told):
    one = told(replace(Rule(), flapping=Flapping(times=3, within=86_400.0)))
    names = []
    for n in range(12):
        start = 2000 + 3000 * n
        one.stream(start + 2000)
        names += [row[:2] for row in one.feed(steady("d", start, start + 1001))]
        names += [row[:2] for row in one.advance(start + 1000 + DISORDER + 1)]
    one_time = [("opened", "silent"), ("resolved", "silent")]
    assert names[:5] == [*one_time, *one_time, ("opened", "flapping")]
    assert set(names[5:]) <= {("updated", "flapping")}
    assert one.fleet.casebook.troubles["d"].silence.count == 10
    calm = one.feed(steady("d", 36_000, 60_000, 10, first=10**6))
    assert calm[-1][:2] == ("resolved", "flapping")


def test_a_flapping_device_that_stays_silent_is_told_of_by_reminders(told):
    one = told(replace(Rule(), flapping=Flapping(times=1, within=86_400.0)))
    one.stream(9000)
    assert [row[:2] for row in one.advance(9000)] == [
        ("opened", "flapping"),
        ("updated", "flapping"),
    ]
    assert one.rows[1]["explanation"].startswith("silent 1 times")


def command(one, action, at, **words):
    incident = one.rows[-1]["incident_id"]
    watched = one.fleet.control(
        [Command(T0 + at * SECOND, "d", incident, action, by="ann", **words)]
    )
    return one.brief(watched)


def test_a_silence_that_was_no_trouble_is_waited_for_half_as_long_again(told):
    one = told()
    one.stream(9000)
    one.advance(1060)
    assert command(one, "false_alarm", 1100) == []
    assert one.advance(1200) == [
        ("false_alarm", "silent", 1100.0),
        ("resolved", "silent", 1100.0),
    ]
    assert one.rows[0]["operator"] == "ann"
    assert one.advance(9000) == []
    assert one.feed(steady("d", 9000, 9031)) + one.advance(9050) == []
    one.stream(9999)
    assert one.due() == 9030 + 1.5 * LIMIT


def test_an_acknowledged_silence_is_told_no_more_until_it_is_over(told):
    one = told()
    one.stream(99_999)
    one.advance(1060)
    command(one, "acknowledge", 1100)
    assert [row[:2] for row in one.advance(1200)] == [("acknowledged", "silent")]
    assert one.advance(90_000) == []
    rows = one.feed([("d", 90_000, 1, (0.0, 0))]) + one.advance(90_020)
    assert rows == [("resolved", "silent", 90_000.0)]
