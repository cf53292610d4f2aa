"""Feedback: thresholds that rise and decay, reminders that end, and a new normal."""

from typing import NamedTuple

import pyarrow as pa
import pytest

from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet
from eddyline.transforms.incidents.apply_feedback import apply_command, decay, next_decay, raised_by
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.life_cycle import DAY, FOREVER, SECOND, Device
from eddyline.transforms.incidents.trouble import Incident, Raise, Troubles
from eddyline.transforms.policy.policy import Rule

T0 = 1_767_312_000 * SECOND
HOUR = 3600
DISORDER = 10


class Run(NamedTuple):
    fleet: Fleet
    rows: list
    anomalies: int


@pytest.fixture(scope="session")
def run(contract, plain_detector, readings):
    """Rows through a fleet, whole or one by one, with commands on the incidents it told."""

    def through(rows, commands=(), size=None):
        fleet = Fleet(contract, plain_detector, DISORDER * SECOND, 64)
        size = size or len(rows)
        parts = [(rows[at : at + size], at) for at in range(0, len(rows), size)]
        out = [fleet.control(commands)]
        out += [fleet.observe(readings(part, at)) for part, at in parts]
        out.append(fleet.advance(END_OF_TIME))
        told = [row for watched in out for row in watched.incidents.to_pylist()]
        return Run(fleet, told, sum(w.anomalies.num_rows for w in out))

    return through


def seconds(row):
    return row["event_time"].timestamp() - T0 / SECOND


def brief(run):
    return [(row["transition"], row["kind"], seconds(row)) for row in run.rows]


def steady(start, end, value=0.0, event=0, step=60):
    return [("d", t, t, (value, event)) for t in range(start, end, step)]


def on(row, action, at, **words):
    return Command(T0 + at * SECOND, "d", row["incident_id"], action, by="ann", **words)


TROUBLE = [*steady(0, 600), *steady(600, 900, 18.0), *steady(900, 3000)]


def test_a_false_alarm_resolves_and_raises_the_threshold_by_a_quarter_of_the_excess(run):
    first = run(TROUBLE)
    assert brief(first)[0] == ("opened", "condition", 600)
    told = run(TROUBLE, [on(first.rows[0], "false_alarm", 700)])
    assert brief(told) == [
        ("opened", "condition", 600),
        ("false_alarm", "condition", 700),
        ("resolved", "condition", 700),
    ]
    row = told.rows[1]
    assert (row["operator"], row["revision"]) == ("ann", 1)
    assert row["explanation"] == "ann called it a false alarm: temperature 18"
    assert told.fleet.casebook.thresholds.tolist() == [[2.0, 12.0]]


def test_a_raised_threshold_changes_verdicts_and_nothing_that_was_learned(run):
    rows = [*TROUBLE, *steady(3000, 4000, 5.5), *steady(4000, 5000)]
    first = run(rows)
    told = run(rows, [on(first.rows[0], "false_alarm", 700)])
    assert told.anomalies < first.anomalies
    one, other = first.fleet, told.fleet
    assert one.detector.encode_many(one.models) == other.detector.encode_many(other.models)


def test_a_raise_halves_in_a_week_and_is_forgotten_after_four(run):
    first = run(TROUBLE)
    command = on(first.rows[0], "false_alarm", 700)
    week = 7 * 24 * HOUR
    for weeks, expected in (
        (0.99, 10 + 2 * 2 ** (-6 / 7)),
        (1.01, 11.0),
        (3.99, 10 + 2 * 2 ** (-27 / 7)),
        (4.1, 10),
    ):
        later = [*TROUBLE, ("d", 700 + round(weeks * week), 5 * 10**6, (0.0, 0))]
        threshold = run(later, [command]).fleet.casebook.thresholds[0, 1]
        assert threshold == pytest.approx(expected, abs=1e-4)
    assert run(later, [command]).fleet.casebook.change.tolist() == [FOREVER]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_command_takes_effect_between_the_readings_of_its_time_in_any_batches(run, size):
    first = run(TROUBLE)
    commands = [on(first.rows[0], "acknowledge", 660), on(first.rows[0], "false_alarm", 700)]
    told = run(TROUBLE, commands[::-1], size)
    assert brief(told) == brief(run(TROUBLE, commands))
    assert [name for name, _, _ in brief(told)] == [
        "opened",
        "acknowledged",
        "false_alarm",
        "resolved",
    ]
    # The reading at 660 comes before the command of that time.
    assert told.rows[1]["count"] == 2


def test_confirmed_takes_a_raise_back(run):
    first = run(TROUBLE)
    commands = [on(first.rows[0], "false_alarm", 700), on(first.rows[0], "confirmed", 800)]
    told = run(TROUBLE, commands)
    assert [name for name, _, _ in brief(told)][-1] == "confirmed"
    assert told.fleet.casebook.thresholds.tolist() == [[2.0, 10.0]]


def test_a_resolved_incident_can_still_be_called_a_false_alarm(run):
    first = run(TROUBLE)
    assert brief(first)[-1] == ("resolved", "condition", 1440)
    told = run(TROUBLE, [on(first.rows[0], "false_alarm", 2000)])
    assert brief(told)[-1] == ("false_alarm", "condition", 2000)
    assert told.fleet.casebook.thresholds.tolist() == [[2.0, 12.0]]


def test_a_command_on_no_incident_that_is_known_tells_nothing(run):
    unknown = Command(T0 + SECOND, "d", "0" * 32, "false_alarm")
    assert run(TROUBLE, [unknown]).rows == run(TROUBLE).rows
    elsewhere = Command(T0 + SECOND, "nobody", "0" * 32, "false_alarm", "event")
    assert run(TROUBLE, [elsewhere]).fleet.casebook.troubles.keys() <= {"d"}


def test_with_its_kind_a_false_alarm_counts_though_the_incident_is_forgotten(run):
    unknown = Command(T0 + SECOND, "d", "0" * 32, "false_alarm", "event")
    assert run(TROUBLE, [unknown]).fleet.casebook.thresholds.tolist() == [[2.5, 10.0]]


def test_the_same_command_twice_counts_once(run):
    first = run(TROUBLE)
    command = on(first.rows[0], "false_alarm", 700)
    assert brief(run(TROUBLE, [command, command])) == brief(run(TROUBLE, [command]))


def test_an_acknowledged_trouble_is_told_no_more_and_its_end_is(run):
    long = [*steady(0, 600), *steady(600, 16_600, 9.0), *steady(16_600, 20_000)]
    first = run(long)
    assert [name for name, _, _ in brief(first)] == ["opened", "updated", "updated", "resolved"]
    told = run(long, [on(first.rows[0], "acknowledge", 14_000)])
    assert [name for name, _, _ in brief(told)] == ["opened", "updated", "acknowledged", "resolved"]


def test_an_acknowledged_condition_that_stays_an_hour_longer_is_the_new_normal(run):
    stays = [*steady(0, 600), *steady(600, 20_000, 18.0)]
    first = run(stays)
    assert brief(first)[-1][0] != "resolved"
    told = run(stays, [on(first.rows[0], "acknowledge", 3000)])
    assert brief(told)[-1] == ("resolved", "condition", 3000 + HOUR + 600)
    assert told.fleet.models["base"].tolist() == [18.0]


def test_an_acknowledged_condition_that_was_over_within_the_hour_is_no_new_normal(run):
    first = run(TROUBLE)
    told = run([*TROUBLE, *steady(3000, 9000)], [on(first.rows[0], "acknowledge", 700)])
    assert told.fleet.models["base"].tolist() == [0.0]


def test_a_limit_cannot_be_called_a_false_alarm_away(run):
    incident = Incident("out_of_limits", T0, T0, peaks={"condition": (18.0, 10.0)})
    troubles = Troubles(limits=incident)
    command = Command(T0, "d", incident.id_of("d"), "false_alarm")
    rows = apply_command(troubles, Device("d", Rule()), command, {})
    assert [row["transition"] for row in rows] == ["false_alarm", "resolved"]
    assert troubles.raised == {}


def test_many_false_alarms_raise_a_threshold_by_as_much_again_at_most():
    troubles = Troubles()
    for day in range(20):
        incident = Incident("condition", T0 + day, T0 + day, peaks={"condition": (60.0, 10.0)})
        troubles.closed = [incident]
        command = Command(T0 + day, "d", incident.id_of("d"), "false_alarm")
        apply_command(troubles, Device("d", Rule()), command, {})
    assert raised_by(troubles, "condition") == 10.0


def test_a_weak_peak_raises_by_a_tenth_of_the_threshold():
    incident = Incident("condition", T0, T0, peaks={"condition": (5.0, 10.0)})
    troubles = Troubles(closed=[incident])
    command = Command(T0, "d", incident.id_of("d"), "false_alarm")
    apply_command(troubles, Device("d", Rule()), command, {})
    assert raised_by(troubles, "condition") == 1.0


def test_raises_age_in_whole_days_however_often_one_looks():
    often, once = (Troubles(raised={"event": Raise(4.0, T0)}) for _ in range(2))
    while (when := next_decay(often)) <= T0 + 10 * DAY:
        decay(often, when)
    decay(once, T0 + 10 * DAY)
    assert often == once
    assert raised_by(once, "event") == 4.0 * 2 ** (-10 / 7)
    decay(once, T0 + 28 * DAY)
    assert once.forgotten


def test_commands_of_the_same_time_are_taken_in_one_order(run):
    first = run(TROUBLE)
    commands = [on(first.rows[0], action, 700) for action in ("confirmed", "false_alarm")]
    assert run(TROUBLE, commands).rows == run(TROUBLE, commands[::-1]).rows
    assert pa.RecordBatch.from_pylist(run(TROUBLE, commands).rows).num_rows == 4
