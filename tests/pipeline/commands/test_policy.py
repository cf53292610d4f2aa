"""`eddyline policy`, as a person uses it: words and exit codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from eddyline.pipeline.commands import policy as policy_commands

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "policy.yaml"
DEVICES = "device_id,site,model\ncold-7-door,cold-7,th-2\ntest-1,hall-3,\n"


@pytest.fixture
def devices(tmp_path):
    path = tmp_path / "devices.csv"
    path.write_text(DEVICES)
    return path


@pytest.fixture
def write(tmp_path):
    def written(content):
        path = tmp_path / "policy.yaml"
        path.write_text(content)
        return path

    return written


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal with room for every table."""
    for console in (policy_commands.out, policy_commands.err):
        monkeypatch.setattr(console, "_width", 250)


def policy(*arguments, code=0):
    result = CliRunner().invoke(policy_commands.app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def cells(output, first):
    """The cells of the table's row that begins with a word."""
    [line] = [li for li in output.splitlines() if li.lstrip("│ ").startswith(f"{first} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_a_right_file_is_told_part_by_part():
    told = policy("check", EXAMPLE).stdout
    assert cells(told, "cold rooms (line 10)") == [
        "cold rooms (line 10)", "site cold-*", "silence.factor 2, quiet 5m",
    ]  # fmt: skip
    assert cells(told, "test benches")[2] == "event off, condition off, silent off"
    assert cells(told, "storm, storms[1]")[1:] == ["site cold-*", "devices 5"]
    assert cells(told, "night cleaning")[1] == "site hall-*, info/warning"
    assert cells(told, "tests end here")[1:] == ["device test-*", "nobody, and no further"]
    assert cells(told, "serious")[1:] == [
        "transition opened or resolved, error/critical", "on-call, operations",
    ]  # fmt: skip
    assert told.splitlines()[-1].endswith("policy.yaml is right.")


def test_a_wrong_file_is_told_in_one_line_with_exit_code_2(write):
    refused = policy("check", write("defaults:\n  quite: 5m\n"), code=2)
    assert "line 2, defaults.quite: no such key 'quite'; did you mean 'quiet'?" in refused.stderr
    assert refused.stdout == ""


def test_a_file_that_is_not_there_is_exit_code_2(tmp_path):
    assert "none.yaml" in policy("check", tmp_path / "none.yaml", code=2).stderr


def test_a_missing_folder_of_templates_is_exit_code_2(write, tmp_path):
    file = write(f"messages: {{templates: {tmp_path / 'none'}}}\n")
    assert "template" in policy("check", file, code=2).stderr


SECRETS = """
channels:
  chat: {kind: slack, token: env:EDDYLINE_TEST_TOKEN, channel: a}
  mail: {kind: slack, webhook: file:/eddyline/none}
  page: {kind: pagerduty, routing_key: aws-secret:eddyline}
routes:
- channels: [chat, mail, page]
"""


def test_whether_a_secret_is_there_is_told_and_never_what_it_is(write, monkeypatch):
    monkeypatch.setenv("EDDYLINE_TEST_TOKEN", "xoxb-123")
    checked = policy("check", write(SECRETS))
    assert cells(checked.stdout, "chat")[2] == "token: env:EDDYLINE_TEST_TOKEN is there"
    assert cells(checked.stdout, "mail")[2] == "webhook: file:/eddyline/none is missing"
    assert cells(checked.stdout, "page")[2] == "routing_key: aws-secret:eddyline was not looked for"
    assert "xoxb" not in checked.output


def test_with_secrets_a_missing_one_is_exit_code_2(write, monkeypatch):
    monkeypatch.delenv("EDDYLINE_TEST_TOKEN", raising=False)
    file = write("channels: {chat: {kind: slack, webhook: env:EDDYLINE_TEST_TOKEN}}\n")
    policy("check", file)
    refused = policy("check", file, "--secrets", code=2)
    assert "secrets are missing: env:EDDYLINE_TEST_TOKEN" in refused.stderr


def test_what_may_not_be_meant_is_a_warning(write, devices):
    file = write(
        """
        rules:
        - {name: cold, match: {site: "cold-*"}, quiet: 5m}
        - {name: warm, match: {site: "warm-*"}, quiet: 5m}
        - {name: door, match: {device: "*-door", site: hall-3}, quiet: 5m}
        storms:
        - {match: {site: "hall-*"}, devices: 3}
        - {name: far, match: {site: far}, devices: 3}
        mute:
        - {name: works, match: {model: th-9}, start: 2026-01-01T00:00Z}
        channels: {log: {kind: stdout}}
        """
    )
    warned = policy("check", file, "--devices", devices).stderr.splitlines()
    assert warned == [
        "warning: there are no routes: nobody is told of anything",
        "warning: channel 'log' is in no route",
        "warning: rule warm (line 4): no device of the registry matches",
        "warning: rule door (line 5): no device of the registry matches",
        "warning: storm far (line 8): no site of the registry matches",
        "warning: mute window works (line 10): no device of the registry matches",
    ]


def test_what_holds_for_a_device_is_told_with_the_rule_that_says_so(devices):
    told = policy(
        "explain", "--device", "cold-7-door", "--policy", EXAMPLE, "--devices", devices
    ).stdout
    assert told.startswith("cold-7-door at cold-7, model th-2")
    assert cells(told, "quiet") == ["quiet", "5m", "cold rooms (line 10)"]
    assert cells(told, "silence.minimum") == ["silence.minimum", "30m", "battery sensors (line 14)"]
    assert cells(told, "silence.grace") == ["silence.grace", "1h", "defaults (line 3)"]
    assert cells(told, "thresholds.event") == ["thresholds.event", "the detector's own", ""]
    assert cells(told, "storm.devices") == ["storm.devices", "5", "storms[1] (line 26)"]


def test_a_device_that_the_registry_has_not_can_be_given_its_site(devices):
    explained = policy(
        "explain", "--device", "new", "--site", "cold-1", "--policy", EXAMPLE, "--devices", devices
    )
    assert "the registry has no device new" in explained.stderr
    assert cells(explained.stdout, "quiet")[1] == "5m"


@pytest.mark.parametrize(
    ("at", "warning", "error"),
    [
        ("2026-01-07T20:59", "log, operations", "log, on-call, operations"),
        ("2026-01-07T21:00", "muted: night cleaning", "log, on-call, operations"),
        ("2026-03-08T12:00", "muted: rebuilding of hall 3", "muted: rebuilding of hall 3"),
    ],
)
def test_where_an_incident_goes_depends_on_its_time(at, warning, error):
    told = policy(
        "explain", "--device", "x", "--site", "hall-3", "--policy", EXAMPLE, "--at", at
    ).stdout
    [*_, routes] = told.split("Where an incident")
    assert cells(routes, "event")[2:4] == [warning, error]


def test_a_kind_that_is_off_goes_nowhere():
    told = policy("explain", "--device", "test-1", "--policy", EXAMPLE).stdout
    tables = told.split("Where an incident")
    assert cells(tables[0], "silent") == ["silent", "off", "test benches (line 17)"]
    assert cells(tables[1], "silent")[1:] == ["off"] * 4
    assert cells(tables[1], "missing")[1:] == ["log"] * 4


def test_for_one_kind_and_severity_each_route_is_named():
    told = policy(
        "explain", "--device", "x", "--site", "cold-1", "--policy", EXAMPLE,
        "--kind", "missing", "--severity", "error", "--at", "2026-01-07T12:00",
    ).stdout  # fmt: skip
    assert told.splitlines()[-4:] == [
        "route the record (line 69): to log",
        "route serious (line 75): to on-call, operations",
        "route cold rooms (line 78): to facility",
        "route the rest (line 81): to operations",
    ]


@pytest.mark.parametrize(
    ("option", "words"),
    [("--kind=evnt", "--kind: one of event, condition"), ("--severity=high", "--severity: one of")],
)
def test_a_word_that_there_is_not_is_exit_code_2(option, words):
    refused = policy("explain", "--device", "x", "--policy", EXAMPLE, option, code=2)
    assert words in refused.stderr
