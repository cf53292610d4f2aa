"""The policy file: taken whole, or refused with words that say where and what to do."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eddyline.transforms.policy.policy import read_policy
from eddyline.transforms.policy.policy_file import read_policy_file

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "policy.yaml"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "p.yaml: the file is empty"),
        ("# nothing\n", "p.yaml: the file is empty"),
        ("rules: [", "p.yaml, line 1, column 9: no YAML: "),
        ("- 1\n", "p.yaml, line 1: expected `key: value` lines, got a list"),
        ("1: 2\n", "p.yaml, line 1: a key that is no word: write it in quotes"),
        ("rule: []\n", "p.yaml, line 1, rule: no such key 'rule'; did you mean 'rules'? There are: "
         "channels, defaults, messages, mute, routes, rules, storms"),
        ("rules: {}\n", "p.yaml, line 1, rules: expected a list, got `key: value` lines"),
        ("defaults:\n  quiet:\n", "p.yaml, line 2, defaults.quiet: nothing is no duration: "),
        ("defaults:\n  quiet: soon\n", "line 2, defaults.quiet: 'soon' is no duration: "),
        ("defaults:\n  quiet: 0\n", "defaults: quiet must be longer than 0"),
        ("defaults:\n  reminders: [4h, 1h]\n", "defaults: reminders must grow"),
        ("defaults:\n  reminders: [0, 1h]\n", "defaults: reminders must grow"),
        ("defaults:\n  reminders: [1h, 1h]\n", "defaults: reminders must grow"),
        ("defaults: {off: [event], on: [event]}\n", "defaults: event is both on and off"),
        ("defaults:\n  off: [evnt]\n", "line 2, defaults.off[0]: no such value 'evnt'; did you "
         "mean 'event'? There are: condition, event, flapping, missing, out_of_limits, silent"),
        ("defaults:\n  off: [storm]\n", "defaults.off[0]: no such value 'storm'"),
        ("defaults: {thresholds: {out_of_limits: 3}}\n", "no such key 'out_of_limits'; there are: "
         "condition, event"),
        ("defaults: {thresholds: {event: 0}}\n", "thresholds.event: expected `float` > 0.0"),
        ("defaults: {thresholds: {event: .nan}}\n", "thresholds.event: expected `float` > 0.0"),
        ("defaults:\n  silence:\n    factr: 3\n", "line 3, defaults.silence.factr: no such key "
         "'factr'; did you mean 'factor'? There are: factor, grace, minimum"),
        ("defaults: {silence: {factor: 0.5}}\n", "silence.factor: expected `float` >= 1.0"),
        ("defaults: {flapping: {times: 1}}\n", "flapping.times: expected `int` >= 2"),
        ("defaults: {flapping: {within: 0}}\n", "flapping.within must be longer than 0"),
        ("defaults:\n  quiet: 1m\n  quiet: 2m\n",
         "line 3: 'quiet' is there twice, first on line 2"),
        ("rules:\n- quiet: 5m\n", "p.yaml, line 2, rules[0]: 'match' is missing"),
        ("rules:\n- {match: {}, quiet: 5m}\n", "rules[0]: match names no device, model or site: "
         "write it under defaults"),
        ("rules:\n- match: {device: ''}\n", "rules[0].match.device: expected `str` of length >= 1"),
        ("rules:\n- match: {device: []}\n",
         "rules[0].match.device: expected a list of length >= 1"),
        ("rules:\n- match: {sites: a}\n", "no such key 'sites'; did you mean 'site'?"),
        ("rules:\n- {name: x, match: {site: a}}\n- {name: x, match: {site: b}}\n",
         "line 3, rules[1].name: the name 'x' is there twice"),
        ("storms:\n- share: 30\n", "storms[0].share: expected `float` <= 1.0"),
        ("storms:\n- match: {device: a}\n", "no such key 'device'"),
        ("mute:\n- days: mon\n", "mute[0]: 'name' is missing"),
        ("mute:\n- name: x\n", "mute[0]: when? Say days, from and to; or start and end; or rrule"),
        ("mute:\n- {name: x, days: mon}\n", "by which clock? Say zone: Europe/Zurich"),
        ("mute:\n- {name: x, days: mon, zone: Europe/Zurch}\n", "mute[0].zone: no time zone "
         "'Europe/Zurch'; did you mean 'Europe/Zurich'?"),
        ("mute:\n- {name: x, days: someday, zone: UTC}\n", "mute[0].days: 'someday' is no day"),
        ("mute:\n- {name: x, from: 22:00, zone: UTC}\n", "mute[0]: from and to go together"),
        ("mute:\n- {name: x, from: 22:00, to: 22:00, zone: UTC}\n", "from and to hold no time"),
        ("mute:\n- {name: x, from: 10pm, to: 22:00, zone: UTC}\n", "'10pm' is no time of day"),
        ("mute:\n- {name: x, start: 2026-01-01}\n", "'2026-01-01' by which clock?"),
        ("mute:\n- {name: x, start: new year}\n", "'new year' is no time: write it as 2026-03-01"),
        ("mute:\n- {name: x, start: 2026-01-02T00:00Z, end: 2026-01-01T00:00Z}\n",
         "end 2026-01-01T00:00Z is not after start 2026-01-02T00:00Z"),
        ("mute:\n- {name: x, rrule: FREQ=DAILY, zone: UTC}\n", "rrule and duration go together"),
        ("mute:\n- {name: x, duration: 2h, zone: UTC}\n", "rrule and duration go together"),
        ("mute:\n- {name: x, rrule: FREQ=DAILY, duration: 2h, zone: UTC}\n", "rrule counts from "
         "start"),
        ("mute:\n- {name: x, rrule: FREQ=DAILY, duration: 2h, days: mon, zone: UTC}\n",
         "rrule or days with from and to, not both"),
        ("mute:\n- {name: x, rrule: DAILY, duration: 2h, start: 2026-01-01, zone: UTC}\n",
         "rrule: one rule with FREQ="),
        ("mute:\n- {name: x, days: mon, zone: UTC, match: {severity: error}}\n",
         "no such key 'severity'; there are: at_least, at_most, device"),
        ("mute:\n- {name: x, days: mon, zone: UTC, match: {at_least: error, at_most: info}}\n",
         "at_least error and at_most info leave no severity"),
        ("channels: {pager: {kind: stdout}}\nroutes:\n- channels: [pagr]\n",
         "line 3, routes[0].channels[0]: no such channel 'pagr'; did you mean 'pager'?"),
        ("routes:\n- channels: []\n", "routes[0]: a route to no channel does nothing without stop"),
        ("routes:\n- match: {kind: storms}\n  channels: []\n  stop: true\n",
         "routes[0].match.kind: no such value 'storms'; did you mean 'storm'?"),
        ("channels:\n  ops:\n    kind: slack\n    token: xoxb-1\n    channel: a\n",
         "line 4, channels.ops.token: a secret is never in this file"),
        ("channels:\n  ops: 3\n", "channels: expected `key: value` lines, got `int`"),
        ("messages:\n  time_zone: Mars\n", "line 2, messages.time_zone: no time zone 'Mars'"),
        ("messages:\n  dashbord: x\n", "did you mean 'dashboard'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_what_to_do(content, words):
    with pytest.raises(ValueError, match=r"^p\.yaml") as refused:
        read_policy_file("p.yaml", content.encode())
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_example_of_the_documentation_is_right():
    policy = read_policy(str(EXAMPLE), EXAMPLE.read_bytes())
    assert policy.rule("x", "cold-7", None).quiet == 300
    assert len(policy.mutes) == 3
    assert set(policy.channels) == {"operations", "on-call", "facility", "log"}


@given(st.integers(0, 3000), st.binary(max_size=5))
def test_a_damaged_file_is_taken_or_refused_and_never_an_error_of_ours(at, noise):
    content = EXAMPLE.read_bytes()
    with suppress(ValueError):
        read_policy("p.yaml", content[:at] + noise + content[at + len(noise) :])
    with suppress(ValueError):
        read_policy("p.yaml", content[:at])


def mappings(keys, inner):
    return st.dictionaries(keys, inner, max_size=3)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | mappings(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["defaults", "rules", "storms", "mute", "channels", "routes", "messages", "match", "name",
     "quiet", "silence", "off", "kind", "url", "limits", "zone", "days", "from", "rrule"]
)  # fmt: skip


@given(st.recursive(values, lambda inner: mappings(KEYS, inner)))
def test_any_document_is_taken_or_refused_and_never_an_error_of_ours(value):
    with suppress(ValueError):
        read_policy("p.yaml", yaml.safe_dump(value).encode())


PAGE = EXAMPLE.parents[1] / "policy.md"


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_what_the_documentation_shows_is_right(block):
    read_policy("policy.md", block.encode())


def test_the_order_that_the_documentation_shows_is_the_order():
    table = PAGE.read_text().partition("| rule | for device `probe-1`")[2].partition("\n\n")[0]
    matches = re.findall(r"\| `(\{.*?\})`", table)
    assert len(matches) == 6
    for first in range(len(matches)):
        left = matches[first:]
        rules = "".join(f"- {{match: {m}, quiet: {n + 1}}}\n" for n, m in enumerate(left))
        policy = read_policy("policy.md", f"rules:\n{rules}".encode())
        assert policy.rule("probe-1", "cold-7", "th-2").quiet == 1
