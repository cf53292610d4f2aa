"""The life cycle by itself: when an incident opens, is told again and resolves."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eddyline.transforms.incidents.apply_feedback import apply_command, decay
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.life_cycle import FOREVER, SECOND, Device, take_reading, wake
from eddyline.transforms.incidents.silence import fall_silent, speak_again
from eddyline.transforms.incidents.trouble import Alarm, Cause, Troubles
from eddyline.transforms.policy.policy import Flapping, Rule

T0 = 1_767_312_000 * SECOND
RULE = Rule()
HOUR = 3600
BEYOND = Cause("limit", ("temperature",), 91.0, sentence="temperature 91 is above its limit")


def alarm(strength, sign="level", channel="temperature", kind="condition"):
    cause = Cause(sign, (channel,), 1.0, sentence=f"{channel} is odd")
    return Alarm(((kind, 10.0 * strength, 10.0),), 10.0 * strength, cause)


class One:
    """One device, told in seconds."""

    def __init__(self, rule=RULE, importance="normal"):
        self.troubles, self.device = Troubles(), Device("d", rule, importance)

    def take(self, at, strength=None, **words):
        """A reading; gives (transition, kind, severity) of its rows."""
        if strength is not None:
            words["alarm"] = alarm(strength, **words.pop("like", {}))
        self.rows = take_reading(
            self.troubles, self.device, T0 + round(at * SECOND), T0 + round(at * SECOND), **words
        )
        return [(row["transition"], row["kind"], row["severity"]) for row in self.rows]

    def names(self, at, strength=None, **words):
        return [name for name, _, _ in self.take(at, strength, **words)]


def test_a_score_at_its_threshold_opens_at_once():
    one = One()
    assert one.take(5, 1.0) == [("opened", "condition", "warning")]
    (row,) = one.rows
    assert (row["event_time"], row["opened_at"], row["last_seen"]) == (T0 + 5 * SECOND,) * 3
    assert (row["count"], row["score"], row["peak"], row["duration"]) == (1, 10.0, 10.0, 0.0)
    assert (row["sign"], row["channels"], row["revision"]) == ("level", ["temperature"], 0)


def test_weak_alarms_open_together_and_one_alone_does_not():
    one = One()
    assert [one.names(10 * n, 0.65) for n in range(3)] == [[], [], ["opened"]]
    assert (one.rows[0]["count"], one.rows[0]["peak"]) == (3, 6.5)
    assert one.rows[0]["severity"] == "info"


def test_alarms_with_scores_that_are_no_evidence_never_open():
    one = One()
    assert not any(one.names(10 * n, 0.4) for n in range(1000))


def test_a_slow_sign_counts_by_what_came_before_it_or_by_itself():
    before = alarm(0.2)._replace(recent=0.8)
    one = One()
    assert [one.names(10 * n, alarm=before) for n in range(2)] == [[], ["opened"]]
    one = One()
    assert [one.names(10 * n, 0.1, like={"sign": "stuck"}) for n in range(2)] == [[], ["opened"]]
    assert one.rows[0]["severity"] == "warning"


def test_weak_alarms_are_forgotten_after_quiet():
    one = One()
    assert one.names(0, 0.9) == []
    assert one.names(599) == []
    assert one.names(600) == []
    assert one.troubles.forgotten
    assert one.names(700, 0.9) == []
    assert one.names(1300, 0.9) == []
    assert one.names(1899, 0.9) == ["opened"]


def test_an_incident_resolves_with_the_first_reading_without_alarm_quiet_after_its_last():
    one = One()
    one.take(0, 1.2)
    one.take(60, 1.4)
    one.take(120, 1.1)
    assert one.names(719.999) == []
    assert one.take(720) == [("resolved", "condition", "warning")]
    (row,) = one.rows
    assert (row["duration"], row["count"], row["peak"], row["score"]) == (120.0, 3, 14.0, None)
    assert (row["event_time"], row["last_seen"]) == (T0 + 720 * SECOND, T0 + 120 * SECOND)
    assert row["explanation"] == "temperature is odd; over after 2 min and 3 readings"
    assert one.names(730) == []


def test_a_slow_device_keeps_its_incident_while_every_reading_alarms():
    one = One()
    assert one.names(0, 1.2) == ["opened"]
    told = [name for n in range(1, 20) for name in one.names(7200 * n, 1.2)]
    assert "resolved" not in told
    assert one.names(7200 * 20) == ["resolved"]


def test_a_spike_that_goes_on_is_one_incident_of_the_kind_it_began_with():
    one = One()
    assert one.take(0, 1.2, like={"kind": "event"})[0][1] == "event"
    rows = [one.take(10 * n, 1.2) for n in range(1, 100)]
    assert {kind for told in rows for _, kind, _ in told} <= {"event"}
    assert one.troubles.value.peaks == {"event": (12.0, 10.0), "condition": (12.0, 10.0)}


def test_reminders_come_at_growing_times_and_then_daily():
    one = One()
    told = [at for at in range(0, 5 * 24 * HOUR, 60) if one.names(at, 1.2) == ["updated"]]
    days = [n * 24 * HOUR for n in range(1, 5)]
    assert told == [HOUR, 4 * HOUR, *days]


def test_reminders_end_after_a_month():
    one = One(replace(RULE, reminders=(60.0,)))
    told = [at for at in range(0, 90 * 24 * HOUR, HOUR) if one.names(at, 1.2) == ["updated"]]
    assert len(told) == 30


def test_no_reminders_where_the_rule_has_none():
    one = One(replace(RULE, reminders=()))
    told = [name for n in range(9999) for name in one.names(60 * n, 1.2)]
    assert told == ["opened", "updated"]
    assert one.troubles.value.told_severity == 2  # the hour


def test_a_worse_score_is_told_once_the_last_telling_is_ten_minutes_old():
    one = One(replace(RULE, reminders=()))
    one.take(0, 1.0)
    assert one.names(10, 1.49) == []
    assert one.names(599, 1.5) == []
    assert one.take(600) == [("updated", "condition", "error")]
    assert one.rows[0]["peak"] == 15.0


def test_another_cause_of_the_worst_is_told_and_not_more_often_than_the_age_allows():
    one = One(replace(RULE, reminders=()))
    told = []
    for n in range(0, 24 * HOUR, 60):
        like = {"channel": "temperature" if n // 60 % 2 else "passed"}
        told += [n] * len(one.names(n, 0.8 + n * 1e-9, like=like))
    gaps = [later - earlier for earlier, later in pairwise(told)]
    assert all(gap >= 600 for gap in gaps)
    assert 5 < len(told) < 30
    assert max(gaps) > 3 * HOUR


def test_a_weaker_reading_of_another_cause_is_not_told_and_the_worst_stays():
    one = One(replace(RULE, reminders=()))
    one.take(0, 1.2)
    for n in range(60, HOUR, 60):
        assert one.names(n, 0.8, like={"channel": "passed"}) == []
    assert one.troubles.value.cause.sentence == "temperature is odd"


def test_severity_rises_with_time_and_importance():
    for importance, expected in (("low", "info"), ("normal", "warning"), ("high", "error")):
        one = One(importance=importance)
        assert one.take(0, 1.2)[0][2] == expected
    assert [s for at in range(0, 4000, 60) for _, _, s in one.take(at, 1.2)] == ["critical"]


def test_beyond_limits_opens_at_once_and_alarms_fold_into_it():
    one = One()
    assert one.take(0, 1.2, beyond=BEYOND) == [("opened", "out_of_limits", "error")]
    row = one.rows[0]
    assert (row["sign"], row["observed"], row["score"]) == ("limit", 91.0, 12.0)
    assert [one.names(10 * n, 1.4) for n in range(1, 50)] == [[]] * 49
    assert one.names(600) == ["resolved"]


def test_a_value_trouble_that_passes_a_limit_says_nothing_more_of_its_own():
    one = One()
    assert one.names(0, 1.2) == ["opened"]
    assert one.take(10, 1.2, beyond=BEYOND) == [("opened", "out_of_limits", "error")]
    rows = [row for n in range(2, 900) for row in one.take(10 * n, 1.2 + n / 99, beyond=BEYOND)]
    assert {kind for _, kind, _ in rows} == {"out_of_limits"}
    assert sorted(one.take(10_000)) == [
        ("resolved", "condition", "critical"),
        ("resolved", "out_of_limits", "critical"),
    ]


def test_a_reading_that_was_not_judged_is_no_sign_that_all_is_well():
    one = One()
    one.take(0, 1.2)
    assert one.names(5000, judged=False) == ["updated"]
    assert one.names(5010) == ["resolved"]


@pytest.mark.parametrize(
    ("off", "words"), [("out_of_limits", {"beyond": BEYOND}), ("flapping", {"strength": 1.2})]
)
def test_a_kind_that_is_off_raises_nothing(off, words):
    one = One(replace(RULE, off=frozenset({off})))
    kinds = [
        k for n in range(20) for at in (0, 900) for _, k, _ in one.take(n * 1000 + at, **words)
    ]
    assert off not in kinds


def bout(one, start):
    """A short trouble and its end."""
    return [*one.take(start, 1.2), *one.take(start + 600)]


def test_the_fourth_opening_within_a_day_is_flapping_and_folds_the_next_ones():
    one = One()
    for n in range(3):
        assert [name for name, _, _ in bout(one, n * HOUR)] == ["opened", "resolved"]
    assert bout(one, 3 * HOUR) == [("opened", "flapping", "warning")]
    assert "condition 4 times within 24 h" in one.troubles.value.cause.sentence
    names = [name for n in range(4, 9) for name, _, _ in bout(one, n * HOUR)]
    assert set(names) <= {"updated"}
    assert one.names(8 * HOUR + 6 * HOUR - 1) == []
    assert one.take(8 * HOUR + 6 * HOUR) == [("resolved", "flapping", "error")]
    assert [name for name, _, _ in bout(one, 15 * HOUR)] == ["opened", "resolved"]


def test_openings_over_more_than_the_time_are_no_flapping():
    one = One(replace(RULE, flapping=Flapping(times=3, within=2 * HOUR)))
    kinds = {kind for n in range(30) for _, kind, _ in bout(one, n * HOUR)}
    assert kinds == {"condition"}


def test_a_false_alarm_is_over_and_opens_again_only_when_it_is_half_as_bad_again():
    one = One()
    one.take(0, 1.2)
    incident_id = one.rows[0]["incident_id"]
    rows = apply_command(
        one.troubles, one.device, Command(T0 + SECOND, "d", incident_id, "false_alarm"), {}
    )
    assert [row["transition"] for row in rows] == ["false_alarm", "resolved"]
    assert [one.names(n, 1.7) for n in range(2, 900)] == [[]] * 898
    assert one.names(901, 1.81) == ["opened"]
    assert one.rows[0]["incident_id"] != incident_id


def test_another_reading_of_the_moment_of_a_false_alarm_does_not_open_it_again():
    one = One()
    one.take(0, 1.2)
    false_alarm = Command(T0, "d", one.rows[0]["incident_id"], "false_alarm")
    apply_command(one.troubles, one.device, false_alarm, {})
    assert one.names(0, 2.5) == []
    assert one.names(1, 2.5) == ["opened"]


def test_two_kinds_that_flap_from_the_same_reading_on_are_two_incidents():
    one = One(replace(RULE, flapping=Flapping(times=2, within=2 * HOUR)))
    bout(one, 0)
    one.take(1000, beyond=BEYOND)
    one.take(1600)
    rows = [row for words in ({"strength": 1.2}, {"beyond": BEYOND}) for row in told(one, words)]
    assert [row["kind"] for row in rows] == ["flapping", "flapping"]
    assert len({row["incident_id"] for row in rows}) == 2


def told(one, words):
    one.take(3000, **words)
    return one.rows


class LifeCycle(RuleBasedStateMachine):
    """Any readings, gaps and commands: the books always balance."""

    @initialize(times=st.integers(2, 5), quiet=st.sampled_from((1.0, 60.0, 600.0)))
    def begin(self, times, quiet):
        rule = replace(RULE, quiet=quiet, flapping=Flapping(times, 3 * HOUR))
        self.troubles, self.device = Troubles(), Device("d", rule, "normal")
        self.every = Troubles()
        self.now, self.last = T0, T0
        self.open, self.ids, self.dismissed = {}, set(), set()
        self.revisions, self.times = {}, {}

    def check(self, rows):
        for row in rows:
            name, key = row["transition"], row["incident_id"]
            assert row["revision"] == self.revisions.get(key, -1) + 1, "a revision is left out"
            self.revisions[key] = row["revision"]
            assert row["event_time"] >= row["opened_at"]
            assert row["event_time"] >= self.times.get(key, 0), "an incident goes back in time"
            self.times[key] = row["event_time"]
            assert row["duration"] >= 0
            if name == "opened":
                assert key not in self.ids, "opened twice"
                self.ids.add(key)
                self.open[key] = row
            elif name == "resolved":
                assert key in self.open, "resolved and not open"
                del self.open[key]
            elif name == "updated":
                assert key in self.open, "told and not open"
            else:
                assert key in self.ids
                if name == "false_alarm" and key not in self.open:
                    continue
                if name == "false_alarm":
                    self.dismissed.add(key)

    @rule(
        step=st.sampled_from((0, 1, 10, 400, 900, 4000, 90_000)),
        strength=st.sampled_from((None, None, 0.2, 0.5, 1.0, 1.3, 2.5, 9.0)),
        kind=st.sampled_from(("event", "condition")),
        sign=st.sampled_from(("level", "stuck")),
        beyond=st.booleans(),
        judged=st.sampled_from((True, True, True, False)),
        silent=st.booleans(),
    )
    def reading(self, step, strength, kind, sign, beyond, judged, silent):
        self.now += step * SECOND
        due = self.last + 300 * SECOND
        silent = silent and due <= self.now
        words = {
            "alarm": None if strength is None else alarm(strength, sign, kind=kind),
            "beyond": BEYOND if beyond else None,
            "judged": judged or strength is not None,
        }

        def take(troubles):
            rows = []
            if silent:
                rows += fall_silent(troubles, self.device, self.last, due, 10e6, self.now)
            rows += speak_again(troubles, self.device, self.now, self.now)
            return rows + take_reading(troubles, self.device, self.now, self.now, **words)

        asleep = self.now < wake(self.troubles, self.device)
        every = take(self.every)
        if asleep and not silent and not beyond and strength is None:
            assert every == [], "a reading that nobody looks at would have told something"
        else:
            rows = take(self.troubles)
            assert rows == every
            self.check(rows)
        self.last = self.now

    @rule(
        action=st.sampled_from(("acknowledge", "confirmed", "false_alarm")),
        pick=st.integers(0, 99),
    )
    def command(self, action, pick):
        ids = sorted(self.ids)
        incident = ids[-1 - pick % len(ids)] if ids else "unknown"
        known = incident in {i.id_of("d") for i in (*self.troubles.open, *self.troubles.closed)}
        command = Command(self.now, "d", incident, action)
        before = {k: r.amount for k, r in self.troubles.raised.items()}
        rows = apply_command(self.troubles, self.device, command, {})
        assert known or not rows
        self.check(rows)
        assert apply_command(self.every, self.device, command, {}) == rows
        again = apply_command(self.troubles, self.device, command, {})
        assert again == [], "a command that comes twice counts once"
        if action == "acknowledge":
            assert before == {k: r.amount for k, r in self.troubles.raised.items()}
        decay(self.troubles, self.now)
        decay(self.every, self.now)

    @invariant()
    def slots(self):
        if not hasattr(self, "troubles"):
            return
        live = [i for i in self.troubles.open if not i.dismissed]
        assert {i.id_of("d") for i in live} == set(self.open)
        by_slot = [row["kind"] for row in self.open.values()]
        assert len(by_slot) <= 3
        assert by_slot.count("out_of_limits") <= 1
        assert sum(kind in ("event", "condition") for kind in by_slot) <= 1


LifeCycle.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestLifeCycle = LifeCycle.TestCase


def test_a_device_without_trouble_waits_for_nothing():
    assert wake(Troubles(), Device("d", RULE)) == FOREVER
