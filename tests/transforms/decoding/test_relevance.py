"""Drop rules: what they match, in which order, and which are refused."""

import pytest

from eddyline.transforms.decoding.relevance import DropRule, first_rule


@pytest.mark.parametrize(
    ("rule", "device", "kind", "drops"),
    [
        (DropRule("r", device="test-*"), "test-1", "", True),
        (DropRule("r", device="test-*"), "test-", "any", True),
        (DropRule("r", device="test-*"), "Test-1", "", False),
        (DropRule("r", device="test-*"), "a-test-1", "", False),
        (DropRule("r", device="a/b=?"), "a/b=c", "", True),
        (DropRule("r", device="a[0-9]"), "a5", "", True),
        (DropRule("r", device="*"), "", "", True),
        (DropRule("r", device="a\n*"), "a\nb", "", True),
        (DropRule("r", type="heartbeat"), "a", "heartbeat", True),
        (DropRule("r", type="heartbeat"), "a", "", False),
        (DropRule("r", type="heart*"), "a", "heartbeat", True),
        (DropRule("r", device="a", type="t"), "a", "t", True),
        (DropRule("r", device="a", type="t"), "a", "u", False),
        (DropRule("r", device="a", type="t"), "b", "t", False),
    ],
)
def test_a_rule_drops_what_matches_all_that_it_names(rule, device, kind, drops):
    assert rule.drops(device, kind) is drops


def test_the_first_rule_that_matches_counts():
    rules = [
        DropRule("one", device="a*"),
        DropRule("two", device="*b"),
        DropRule("three", type="t"),
    ]
    told = [first_rule(rules, *args) for args in (("ab", "t"), ("b", "t"), ("c", "t"), ("c", ""))]
    assert told == ["one", "two", "three", None]


@pytest.mark.parametrize("name", ["", "two words", "dash-ed", "1st", "a.b"])
def test_a_rules_name_can_be_part_of_a_counters_name(name):
    with pytest.raises(ValueError, match="a name of letters, digits and underscores"):
        DropRule(name, device="a")


def test_a_rule_that_would_drop_everything_is_refused():
    with pytest.raises(ValueError, match=r"'r': name a device or a type, else it drops all"):
        DropRule("r")
