"""The storms of one site, without Beam."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.fleet.fleet import END_OF_TIME
from eddyline.transforms.incidents.incident_id import incident_id
from eddyline.transforms.incidents.storms import SiteStorms, devices_needed
from eddyline.transforms.incidents.storms_codec import StormsRefused, decode_storms, encode_storms
from eddyline.transforms.policy.policy import Storm

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
RULE = Storm(devices=3, share=0, within=30.0)
SITE = "Bern"


def row(device, seconds, transition="opened", *, kind="silent", opened=None, **more):
    opened = seconds if opened is None else opened
    revisions = {"opened": 0, "resolved": 9}
    return {
        "incident_id": f"{device}/{kind}/{opened:g}",
        "revision": revisions.get(transition, 1),
        "transition": transition,
        "kind": kind,
        "severity": "warning",
        "event_time": T0 + round(seconds * SECOND),
        "opened_at": T0 + round(opened * SECOND),
        "last_seen": T0 + round(seconds * SECOND),
        "arrival_time": T0 + round((seconds + 1) * SECOND),
        "device_id": device,
        "site": SITE,
        "latitude": None,
        "longitude": None,
        "explanation": f"{device} is {kind}",
        "storm_id": None,
        "members": [],
        **more,
    }


def openings(number, at=0.0, step=1.0):
    return [row(f"d{n}", at + n * step) for n in range(number)]


def resolving(opened, at):
    return [
        row(r["device_id"], at, "resolved", opened=(r["opened_at"] - T0) / SECOND, kind=r["kind"])
        for r in opened
    ]


def storms_in(rows):
    return [r for r in rows if r["kind"] == "storm"]


def told(rows):
    """(transition, seconds since T0, members) of the storms' rows."""
    return [(r["transition"], (r["event_time"] - T0) / SECOND, r["count"]) for r in storms_in(rows)]


def canonical(rows):
    return sorted(map(repr, rows))


def fold(rows, rule=RULE, site_devices=None):
    storms = SiteStorms(SITE, rule, site_devices)
    return storms.observe(rows) + storms.advance(END_OF_TIME)


def storm_id(opened_at):
    return incident_id(SITE, "storm", opened_at)


def at(seconds):
    return T0 + round(seconds * SECOND)


def test_one_opening_is_held_for_the_rules_seconds_and_leaves_as_it_came():
    storms, opening = SiteStorms(SITE, RULE), row("a", 0)
    assert storms.observe([opening]) == []
    assert storms.advance(at(29.999999)) == []
    assert storms.due() == at(30)
    assert storms.advance(at(30)) == [opening]
    assert storms.due() is None


def test_enough_devices_within_the_time_are_one_storm_and_all_its_members_say_so():
    opened = openings(4, step=9)
    rows = fold(opened)
    (storm,) = storms_in(rows)
    assert storm["incident_id"] == storm_id(at(0))
    assert told(rows) == [("opened", 30, 4)]
    assert storm["members"] == [r["incident_id"] for r in opened]
    assert [r for r in rows if r["kind"] != "storm"] == [
        {**r, "storm_id": storm["incident_id"]} for r in opened
    ]


def test_a_device_too_few_is_no_storm():
    opened = openings(2)
    assert canonical(fold(opened)) == canonical(opened)


def test_incidents_of_one_device_are_no_storm():
    opened = [row("a", 0, kind=kind) for kind in ("silent", "event", "condition", "flapping")]
    assert canonical(fold(opened)) == canonical(opened)


def test_an_opening_exactly_at_the_end_of_the_time_is_outside_of_it():
    inside = [*openings(2), row("c", 29.999999)]
    outside = [*openings(2), row("c", 30)]
    assert told(fold(inside)) == [("opened", 30, 3)]
    assert told(fold(outside)) == []


def test_a_storm_can_begin_with_any_of_the_openings():
    opened = [row("a", 0), row("b", 25), row("c", 40), row("d", 45)]
    rows = fold(opened)
    assert told(rows) == [("opened", 55, 3)]
    assert [r["device_id"] for r in rows if r["storm_id"]] == ["b", "c", "d"]
    assert opened[0] in rows


def test_a_storm_is_over_when_the_last_member_is():
    opened = openings(3)
    rows = fold([*opened, *resolving(opened[:2], 60), *resolving(opened[2:], 1560)])
    assert told(rows) == [("opened", 30, 3), ("resolved", 1560, 3)]
    opening, over = storms_in(rows)
    assert over["duration"] == 1560
    assert (opening["revision"], over["revision"]) == (0, 1)
    assert over["explanation"] == (
        "3 devices at Bern: 3 silent, since 00:00 UTC, all over after 26 min; first d0"
    )
    assert all(r["storm_id"] == over["incident_id"] for r in rows if r["kind"] != "storm")


def test_a_member_that_is_over_before_the_storm_is_told_counts_and_is_over():
    opened = openings(3)
    rows = fold([*opened, *resolving(opened, 10)])
    assert told(rows) == [("opened", 30, 3), ("resolved", 30, 3)]


def test_an_incident_that_is_over_while_it_is_held_leaves_whole_and_in_order():
    both = [row("a", 0), row("a", 5, "resolved", opened=0)]
    storms = SiteStorms(SITE, RULE)
    assert storms.observe(both) == []
    assert storms.advance(at(30)) == both


def test_what_opens_during_a_storm_joins_it_at_once():
    storms = SiteStorms(SITE, RULE)
    storms.observe(openings(3))
    storms.advance(at(30))
    assert storms.observe([row("x", 100)]) == []
    assert storms.advance(at(100)) == []  # another one at 100 may come and be the first
    (joined,) = storms.advance(at(100.000001))
    assert joined["storm_id"] == storm_id(at(0))


def test_a_storm_is_told_again_when_it_has_doubled():
    opened = [*openings(3), *(row(f"x{n}", 100 + n) for n in range(20))]
    assert told(fold(opened)) == [("opened", 30, 3), ("updated", 102, 6), ("updated", 108, 12)]


def test_a_storm_is_told_again_when_it_gets_worse():
    opened = openings(3)
    worse = row("d1", 50, "updated", opened=1, severity="error")
    rows = fold([*opened, worse])
    assert told(rows) == [("opened", 30, 3), ("updated", 50, 3)]
    assert [r["severity"] for r in storms_in(rows)] == ["error", "critical"]


def test_a_storm_that_lasts_is_told_again_by_what_its_members_say():
    opened = openings(3)
    hours = (0.5, 1, 1.5, 3.9, 4, 23, 24, 30, 47, 48, 49, 72)
    said = [row("d1", 3600 * hour, "updated", opened=1) for hour in hours]
    when = [seconds / 3600 for _, seconds, _ in told(fold([*opened, *said]))[1:]]
    assert when == [1, 4, 24, 48, 72]


def test_the_severity_is_one_step_above_the_worst_members():
    for worst, severity in (("info", "warning"), ("error", "critical"), ("critical", "critical")):
        opened = [row("a", 0, severity=worst), *(row(d, 0, severity="info") for d in "bc")]
        assert storms_in(fold(opened))[0]["severity"] == severity


def test_the_sentence_says_how_many_of_how_many_what_since_when_and_which_was_first():
    opened = [row(f"freezer-{n + 7}", 180 + n / 2) for n in range(36)]
    opened += [row(f"door-{n}", 200 + n, kind="out_of_limits") for n in range(2)]
    (storm,) = storms_in(fold(opened, site_devices=40))
    assert storm["explanation"] == (
        "38 of 40 devices at Bern: 36 silent, 2 out of limits, since 00:03 UTC; first freezer-7"
    )


def test_a_storm_lists_its_first_hundred_members():
    opened = openings(250, step=0.1)
    (storm,) = storms_in(fold(opened))
    assert storm["count"] == 250
    assert storm["members"] == [r["incident_id"] for r in opened[:100]]


def test_a_storm_lies_where_its_first_device_is():
    opened = [row("a", 0, latitude=46.9, longitude=7.4), row("b", 1), row("c", 2, latitude=1.0)]
    (storm,) = storms_in(fold(opened))
    assert (storm["latitude"], storm["longitude"]) == (46.9, 7.4)


def test_a_device_that_stays_broken_does_not_swallow_what_comes_weeks_later():
    opened = openings(4)
    week = 7 * 86400.0
    later = row("x", week)
    rows = fold([*opened, *resolving(opened[:3], 600), later])
    assert later in rows
    assert told(rows) == [("opened", 30, 4)]


def test_what_opens_joins_while_half_the_devices_that_make_a_storm_are_in_trouble():
    rule = Storm(devices=4, share=0, within=30.0)
    opened = openings(4)
    for resolved, joins in ((2, True), (3, False)):
        rows = fold([*opened, *resolving(opened[:resolved], 600), row("x", 700)], rule)
        assert [r["storm_id"] is not None for r in rows if r["device_id"] == "x"] == [joins]


def test_a_second_storm_can_begin_while_the_first_has_a_last_member():
    first, second = openings(4), [row(f"x{n}", 9000 + n) for n in range(3)]
    rows = fold(
        [
            *first,
            *resolving(first[:3], 600),
            *second,
            *resolving(second, 9600),
            *resolving(first[3:], 9900),
        ]
    )
    assert told(rows) == [
        ("opened", 30, 4),
        ("opened", 9030, 3),
        ("resolved", 9600, 3),
        ("resolved", 9900, 4),
    ]


def test_what_an_operator_says_of_a_member_after_the_storm_belongs_to_it_for_a_day():
    opened = openings(3)
    day = 86400
    words = [row("d1", s, "false_alarm", opened=1) for s in (700, 600 + day, 600 + day + 1)]
    rows = fold([*opened, *resolving(opened, 600), *words])
    said = [r["storm_id"] for r in rows if r["transition"] == "false_alarm"]
    assert said == [storm_id(at(0))] * 2 + [None]


def test_later_rows_of_an_incident_that_was_let_go_alone_are_not_held():
    storms = SiteStorms(SITE, RULE)
    storms.observe([row("a", 0)])
    storms.advance(at(30))
    later = [row("a", 500, "updated", opened=0), row("a", 600, "resolved", opened=0)]
    assert storms.observe(later) == later
    assert not storms.state.alone


def test_what_waits_of_an_incident_leaves_with_it():
    storms = SiteStorms(SITE, RULE, lag=11 * SECOND)
    later = [row("a", t, "updated", opened=0, revision=t) for t in (10, 35)]
    opened = [row("a", 0), *later]
    storms.observe(opened)
    assert storms.advance(at(41)) == opened
    storms.observe([*openings(3, at=100), row("d0", 138, "updated", opened=100)])
    assert [r["event_time"] for r in storms.advance(at(141))][-1] == at(138)


def test_what_was_let_go_alone_stays_alone_when_a_storm_begins():
    opened = [row("a", 0), *(row(f"x{n}", 31 + n) for n in range(3))]
    rows = fold([*opened, row("a", 80, "updated", opened=0)])
    assert told(rows) == [("opened", 61, 3)]
    assert {r["storm_id"] for r in rows if r["device_id"] == "a"} == {None}


def test_without_storms_nothing_is_held():
    storms = SiteStorms(SITE, Storm(devices=0))
    rows = openings(20)
    assert storms.observe(rows) == rows
    assert storms.due() is None


def test_a_site_too_small_for_a_storm_holds_nothing():
    storms = SiteStorms(SITE, Storm(devices=10, share=0.3, within=30.0), site_devices=2)
    rows = openings(2)
    assert storms.observe(rows) == rows
    assert storms.due() is None


def test_turning_storms_off_lets_go_what_is_held_in_order():
    storms = SiteStorms(SITE, RULE)
    storms.observe([row("a", 0)])
    storms.advance(at(10))
    off = SiteStorms(SITE, Storm(devices=0), state=decode_storms(encode_storms(storms.state)))
    update, other = row("a", 15, "updated", opened=0), row("b", 15)
    assert off.observe([update, other]) == [other]
    assert off.advance(off.due()) == []
    assert off.advance(off.due()) == [row("a", 0), update]
    assert off.due() is None


def test_what_comes_late_joins_the_storm_or_leaves_and_turns_no_time_back():
    storms = SiteStorms(SITE, RULE)
    storms.observe(openings(3))
    storms.advance(at(1000))
    (late,) = storms.observe([row("late", 5)])
    assert late["storm_id"] == storm_id(at(0))
    assert told(storms.observe(resolving([*openings(3), row("late", 5)], 20))) == [
        ("resolved", 30, 4)
    ]
    alone = row("alone", 900)
    assert storms.observe([alone]) == [alone]


def test_late_openings_that_are_enough_are_a_storm_at_once():
    storms = SiteStorms(SITE, RULE)
    storms.advance(at(1000))
    assert told(storms.observe(openings(3))) == [("opened", 30, 3)]


def test_what_is_held_when_a_late_storm_begins_joins_it():
    storms = SiteStorms(SITE, RULE)
    storms.observe([row("x", 140)])
    storms.advance(at(150))
    assert told(storms.observe(openings(3, at=100))) == [("opened", 140, 3)]
    (joined,) = storms.advance(at(170))
    assert joined["storm_id"] == storm_id(at(100))
    storms.observe(resolving(openings(3, at=100), 200))
    assert told(storms.advance(at(201))) == []  # the one that joined is still open


def test_a_member_that_is_resolved_twice_does_not_end_the_storm():
    opened = openings(3)
    rows = fold([*opened, *resolving(opened[:1], 100), *resolving(opened[:2], 200)])
    assert told(rows) == [("opened", 30, 3)]


def test_a_late_opening_is_decided_before_those_that_are_held():
    storms = SiteStorms(SITE, RULE)
    storms.observe([row("a", 100)])
    storms.advance(at(110))
    late = row("b", 90)
    assert storms.observe([late]) == []
    assert storms.due() == at(120)
    assert storms.advance(at(120)) == [late]


def test_the_share_of_a_site_is_of_the_known_devices_and_at_least_three():
    rule = Storm(devices=10, share=0.3, within=30.0)
    assert [devices_needed(rule, known) for known in (None, 0, 2, 3, 9, 11, 20, 21, 34, 500)] == [
        10, 10, None, 3, 3, 4, 6, 7, 10, 10,
    ]  # fmt: skip
    assert devices_needed(Storm(devices=2, share=0.3), 2) == 2
    assert devices_needed(Storm(devices=10, share=0), 20) == 10
    assert devices_needed(Storm(devices=0), 20) is None


def test_state_survives_and_damage_is_refused():
    storms = SiteStorms(SITE, RULE)
    storms.observe([*openings(3), row("x", 31)])
    out = storms.advance(at(31))
    encoded = encode_storms(storms.state)
    again = SiteStorms(SITE, RULE, state=decode_storms(encoded))
    rest = again.advance(END_OF_TIME)
    assert canonical(out + rest) == canonical(fold([*openings(3), row("x", 31)]))
    for wrong in (b"", encoded[:-3], b"EDST\x02" + encoded[5:], b"XXXX" + encoded[4:]):
        with pytest.raises(StormsRefused):
            decode_storms(wrong)


def test_the_first_versions_bytes_are_read_for_ever():
    state = decode_storms((Path(__file__).parents[1] / "golden" / "storms_v1.bin").read_bytes())
    assert (state.cursor, state.now) == (at(49), at(45))
    assert list(state.held) == ["y/silent/45"]
    assert [(w.row["incident_id"], w.left) for w in state.waiting] == [
        ("d3/silent/3", True),
        ("z/silent/62", False),
    ]
    assert list(state.alone) == ["alone/silent/-100"]
    storms = SiteStorms(SITE, RULE, state=state)
    rows = storms.observe(resolving(openings(4)[3:], 70)) + storms.advance(END_OF_TIME)
    assert told(rows) == [("resolved", 70, 4)]
    assert [r["incident_id"] for r in rows if r["kind"] != "storm"] == [
        "d3/silent/3",
        "y/silent/45",
        "z/silent/62",
    ]


devices = st.sampled_from("abcdefg")
severities = st.sampled_from(("info", "warning", "error"))


COURSES = ((), ("updated",), ("resolved",), ("updated", "resolved"), ("resolved", "false_alarm"))


@st.composite
def transitions(draw):
    """Rows of some incidents of one site, each incident's in order."""
    rows = {}
    for _ in range(draw(st.integers(1, 24))):
        device, kind = draw(devices), draw(st.sampled_from(("silent", "event")))
        opened = time = draw(st.integers(0, 150)) / 2
        of_incident = [row(device, opened, kind=kind, severity=draw(severities))]
        for revision, transition in enumerate(draw(st.sampled_from(COURSES)), 1):
            time += draw(st.integers(0, 120)) / 2
            more = {"severity": draw(severities), "revision": revision}
            of_incident.append(row(device, time, transition, kind=kind, opened=opened, **more))
        rows[device, kind, opened] = of_incident
    return [r for of_incident in rows.values() for r in of_incident]


@settings(max_examples=150)
@given(transitions(), st.data())
def test_any_order_and_any_split_behind_the_watermark_give_the_same_rows(rows, data):
    lag = data.draw(st.sampled_from((0, 11 * SECOND)), label="lag")
    rule = data.draw(
        st.sampled_from((RULE, Storm(5, 0.0, 12.5), Storm(0, 0.5, 30.0))), label="rule"
    )
    late_by = data.draw(st.lists(st.integers(0, lag), min_size=len(rows), max_size=len(rows)))
    expected = fold(rows, rule)
    storms, out = SiteStorms(SITE, rule, lag=lag), []
    arrival = [r["event_time"] + late for r, late in zip(rows, late_by, strict=True)]
    arriving = [rows[n] for n in sorted(range(len(rows)), key=arrival.__getitem__)]
    while arriving:
        some = data.draw(st.integers(1, len(arriving)), label="rows")
        out += storms.observe(arriving[:some])
        arriving = arriving[some:]
        # What is still to come is at most `lag` behind.
        limit = min((r["event_time"] for r in arriving), default=at(200)) + lag
        out += storms.advance(limit - data.draw(st.integers(0, 20), label="behind") * SECOND)
        storms = SiteStorms(SITE, rule, lag=lag, state=decode_storms(encode_storms(storms.state)))
    while (due := storms.due()) is not None:
        out += storms.advance(due)
    assert canonical(out) == canonical(expected)
    came = [{**r, "storm_id": None} for r in out if r["kind"] != "storm"]
    assert canonical(came) == canonical(rows)


@settings(max_examples=100)
@given(transitions(), st.data())
def test_whatever_comes_when_each_row_leaves_once_and_storms_end_once(rows, data):
    storms, out = SiteStorms(SITE, RULE), []
    rows = data.draw(st.permutations(rows))
    for r in rows:
        out += storms.observe([r])
        out += storms.advance(at(data.draw(st.integers(0, 150))))
    out += storms.advance(END_OF_TIME)
    assert storms.due() is None
    came = [{**r, "storm_id": None} for r in out if r["kind"] != "storm"]
    assert canonical(came) == canonical(rows)
    by_storm = {}
    for r in storms_in(out):
        by_storm.setdefault(r["incident_id"], []).append(r)
    for of_storm in by_storm.values():
        assert [r["revision"] for r in of_storm] == list(range(len(of_storm)))
        words = " ".join(r["transition"] for r in of_storm)
        assert re.fullmatch("opened( updated)*( resolved)?", words)
        assert all(a["event_time"] <= b["event_time"] for a, b in pairwise(of_storm))
    assert {r["storm_id"] for r in out} - {None} <= set(by_storm)
