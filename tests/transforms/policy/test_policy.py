"""The policy: the most specific rule wins, routes add up, mute windows hold by event time."""

import random
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eddyline.transforms.policy.policy import (
    DEFAULT,
    Flapping,
    Policy,
    Rule,
    Silence,
    Storm,
    read_policy,
)

NOON = datetime(2026, 1, 7, 12, tzinfo=UTC)


def policy(**parts) -> Policy:
    return read_policy("policy.yaml", yaml.safe_dump(parts, sort_keys=False).encode())


def row(**values):
    return {
        "device_id": "a", "site": "Bern", "model": "m", "kind": "event", "severity": "warning",
        "transition": "opened", "event_time": NOON, **values,
    }  # fmt: skip


def test_the_policy_of_no_file_is_the_built_in_one_and_tells_nobody():
    assert DEFAULT.rule("a", None, None) == Rule()
    assert DEFAULT.rule("a", "s", "m") == Rule(
        frozenset(), {}, Silence(3.0, 60.0, 3600.0), 600.0, (3600.0, 14400.0, 86400.0),
        Flapping(4, 86400.0),
    )  # fmt: skip
    assert DEFAULT.storm("s") == DEFAULT.storm(None) == Storm(10, 0.3, 30.0)
    assert DEFAULT.routes(row()) == ()
    assert DEFAULT.muted(row()) is None
    assert DEFAULT.channels == {}


def test_every_setting_arrives_where_it_belongs():
    said = policy(
        defaults={
            "off": ["event", "missing"],
            "thresholds": {"event": 30, "condition": 12.5},
            "silence": {"factor": 2, "minimum": "5m", "grace": 60},
            "quiet": "1h",
            "reminders": ["2h"],
            "flapping": {"times": 3, "within": "2h"},
        }
    )
    assert said.rule("a", None, None) == Rule(
        off=frozenset({"event", "missing"}),
        thresholds={"event": 30.0, "condition": 12.5},
        silence=Silence(2.0, 300.0, 60.0),
        quiet=3600.0,
        reminders=(7200.0,),
        flapping=Flapping(3, 7200.0),
    )


# Slow and readable: what docs/policy.md says about which rule is more specific.

PATTERNS = ["*", "a*", "ab*", "?b", "ab", "a", "b"]
NAMES = ["a", "ab", "b", "abc", None]
PARTS = ("device", "model", "site")


def says(pattern):
    """How much a pattern says, as words of docs/policy.md in numbers."""
    if pattern in (None, "*"):
        return 0
    literal = len(pattern.replace("*", "").replace("?", ""))
    return 1000 + literal if pattern.isalnum() else 1 + literal


def matches(match, device):
    return all(
        device[part] is not None and fnmatchcase(device[part], pattern)
        for part, pattern in match.items()
    )


def more_specific(one, other):
    for part in PARTS:
        a, b = says(one["match"].get(part)), says(other["match"].get(part))
        if a != b:
            return a > b
    return False


def oracle(rules, device, setting, otherwise):
    winner = None
    for rule in rules:  # in the file's order, so that of equals the later one wins
        if not matches(rule["match"], device) or setting not in rule:
            continue
        if winner is None or not more_specific(winner, rule):
            winner = rule
    return otherwise if winner is None else winner[setting]


matching = st.dictionaries(st.sampled_from(PARTS), st.sampled_from(PATTERNS), min_size=1)
rules = st.lists(
    st.fixed_dictionaries(
        {"match": matching},
        optional={"quiet": st.integers(1, 99), "reminders": st.just([]) | st.just([5, 9])},
    ),
    max_size=6,
)
devices = st.fixed_dictionaries(
    {
        "device": st.sampled_from(NAMES[:-1]),
        "model": st.sampled_from(NAMES),
        "site": st.sampled_from(NAMES),
    }
)


@given(rules, devices)
def test_the_most_specific_rule_wins_each_setting_by_itself(rules, device):
    said = policy(defaults={"quiet": 100}, rules=rules)
    rule = said.rule(device["device"], device["site"], device["model"])
    assert rule.quiet == oracle(rules, device, "quiet", 100)
    assert list(rule.reminders) == oracle(rules, device, "reminders", [3600, 14400, 86400])


@given(rules, devices)
def test_what_is_explained_is_what_holds(rules, device):
    said = policy(rules=rules)
    place = device["device"], device["site"], device["model"]
    explained = {effective.setting: effective for effective in said.explain(*place)}
    rule = said.rule(*place)
    assert explained["quiet"].value == rule.quiet
    assert explained["reminders"].value == rule.reminders
    name = explained["quiet"].origin.name
    if name == "built in":
        assert rule.quiet == 600
    else:
        index = int(name.removeprefix("rules[").removesuffix("]"))
        assert rules[index]["quiet"] == rule.quiet


@given(rules, st.randoms(use_true_random=False))
def test_the_order_of_rules_decides_only_between_equals(rules, chance: random.Random):
    distinct = {tuple(says(rule["match"].get(part)) for part in PARTS): rule for rule in rules}
    shuffled = chance.sample(list(distinct.values()), len(distinct))
    one, other = policy(rules=list(distinct.values())), policy(rules=shuffled)
    for name in NAMES[:-1]:
        assert one.rule(name, name, name) == other.rule(name, name, name)


def test_a_kind_is_switched_on_again_where_a_rule_is_more_specific():
    said = policy(
        defaults={"off": ["event", "silent"]},
        rules=[
            {"match": {"site": "a"}, "on": ["event"]},
            {"match": {"device": "d"}, "off": ["missing"]},
        ],
    )
    assert said.rule("x", None, None).off == {"event", "silent"}
    assert said.rule("x", "a", None).off == {"silent"}
    assert said.rule("d", "a", None).off == {"silent", "missing"}


def test_thresholds_of_several_rules_come_together():
    said = policy(
        rules=[
            {"match": {"site": "a"}, "thresholds": {"event": 10, "condition": 20}},
            {"match": {"device": "d"}, "thresholds": {"event": 30}},
        ]
    )
    assert said.rule("d", "a", None).thresholds == {"event": 30, "condition": 20}
    assert said.rule("d", None, None).thresholds == {"event": 30}
    assert said.rule("x", None, None).thresholds == {}


def test_devices_of_the_same_rules_share_one_rule():
    said = policy(rules=[{"match": {"site": "a*"}, "quiet": 5}])
    assert said.rule("x", "a1", None) is said.rule("y", "a2", "m")
    assert said.rule("x", "a1", None) is not said.rule("x", "b", None)


def test_several_globs_are_as_specific_as_the_one_that_matches():
    said = policy(
        rules=[
            {"match": {"device": ["ab", "*c*"]}, "quiet": 1},
            {"match": {"device": "a*"}, "quiet": 2},
        ]
    )
    assert said.rule("ab", None, None).quiet == 1
    assert said.rule("ac", None, None).quiet == 2


def test_an_origin_names_the_rule_and_its_line():
    content = b"defaults:\n  quiet: 5m\nrules:\n- name: cold\n  match: {site: c}\n  quiet: 1m\n"
    said = read_policy("p.yaml", content)
    told = {e.setting: str(e.origin) for e in said.explain("x", "c", None)}
    assert told["quiet"] == "cold (line 4)"
    assert told["reminders"] == "built in"
    assert {e.setting: str(e.origin) for e in said.explain("x", None, None)}["quiet"] == (
        "defaults (line 1)"
    )


def test_storms_are_by_site_and_the_most_specific_wins():
    said = policy(
        storms=[
            {"match": {"site": "a"}, "devices": 3},
            {"match": {"site": "a*"}, "devices": 5, "share": 0.5},
            {"within": "1m"},
        ]
    )
    assert said.storm("a") == Storm(3, 0.5, 60.0)
    assert said.storm("ab") == Storm(5, 0.5, 60.0)
    assert said.storm(None) == Storm(10, 0.3, 60.0)


def test_storms_can_be_switched_off():
    assert policy(storms=[{"devices": 0}]).storm("a").devices == 0


CHANNELS = {name: {"kind": "stdout"} for name in ("log", "mail", "page", "chat")}


def test_routes_add_up_each_channel_once_in_the_files_order():
    said = policy(
        channels=CHANNELS,
        routes=[
            {"match": {"site": "Bern"}, "channels": ["log", "mail"]},
            {"match": {"site": "Basel"}, "channels": ["chat"]},
            {"channels": ["page", "log"]},
        ],
    )
    assert said.routes(row()) == ("log", "mail", "page")
    assert said.routes(row(site="Basel")) == ("chat", "page", "log")
    assert said.routes(row(site=None)) == ("page", "log")


def test_a_route_that_stops_ends_the_list_only_where_it_matches():
    said = policy(
        channels=CHANNELS,
        routes=[
            {"match": {"device": "test-*"}, "channels": [], "stop": True},
            {"match": {"at_least": "error"}, "channels": ["page"], "stop": True},
            {"channels": ["mail"]},
        ],
    )
    assert said.routes(row(device_id="test-1", severity="critical")) == ()
    assert said.routes(row(severity="critical")) == ("page",)
    assert said.routes(row()) == ("mail",)


@pytest.mark.parametrize(
    ("match", "fits", "fits_not"),
    [
        ({"at_least": "error"}, {"severity": "critical"}, {"severity": "warning"}),
        ({"at_most": "warning"}, {"severity": "info"}, {"severity": "error"}),
        ({"at_least": "error", "at_most": "error"}, {"severity": "error"},
         {"severity": "critical"}),
        ({"kind": "silent"}, {"kind": "silent"}, {"kind": "missing"}),
        ({"kind": ["silent", "missing"]}, {"kind": "missing"}, {"kind": "event"}),
        ({"transition": ["opened"]}, {"transition": "opened"}, {"transition": "resolved"}),
        ({"device": "a*"}, {"device_id": "ab"}, {"device_id": "b"}),
        ({"device": "*"}, {"device_id": "ab"}, {"device_id": None}),
        ({"site": ["x", "B*"]}, {"site": "Bern"}, {"site": "bern"}),
        ({"model": "m"}, {"model": "m"}, {"model": None}),
        ({"site": "Bern", "kind": "storm"}, {"kind": "storm", "device_id": None},
         {"kind": "event"}),
    ],
)  # fmt: skip
def test_a_route_takes_what_matches_in_all_that_is_given(match, fits, fits_not):
    said = policy(channels=CHANNELS, routes=[{"match": match, "channels": ["log"]}])
    assert said.routes(row(**fits)) == ("log",)
    assert said.routes(row(**fits_not)) == ()


def muting():
    return policy(
        mute=[
            {"name": "nights", "match": {"at_most": "warning"}, "zone": "Europe/Zurich",
             "from": "22:00", "to": "06:00"},
            {"name": "works", "match": {"site": "Bern"}, "start": "2026-01-07T20:00Z"},
        ]
    )  # fmt: skip


def test_a_mute_window_holds_by_the_rows_own_time():
    at = datetime(2026, 1, 7, 21, tzinfo=UTC)
    assert muting().muted(row(site="Basel", event_time=at)) == "nights"
    assert muting().muted(row(site="Basel")) is None
    assert muting().muted(row(site="Basel", event_time=at, severity="error")) is None


def test_the_first_window_that_holds_is_named():
    late = datetime(2026, 1, 7, 23, tzinfo=UTC)
    assert muting().muted(row(event_time=late)) == "nights"
    assert muting().muted(row(event_time=late, severity="critical")) == "works"


def test_a_time_may_be_microseconds():
    late = round(datetime(2026, 1, 7, 23, tzinfo=UTC).timestamp() * 1e6)
    assert muting().muted(row(event_time=late)) == "nights"
