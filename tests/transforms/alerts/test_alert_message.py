"""Words that a person understands on a phone."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.alert import Incident
from eddyline.schemas.alert_channel import MessageSettings
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.alert_message import EXAMPLES, Wording, example, read_wording

OURS = Wording(MessageSettings())
AT = datetime(2026, 1, 2, 14, 3, tzinfo=UTC)


def changed(**values) -> Incident:
    return msgspec.structs.replace(example(), **values)


FREEZER = changed(
    device_id="Freezer 7",
    site="Bern",
    explanation="temperature 6.5 °C, expected -20 to -18 °C: 41 times its usual deviation",
)


def test_the_incident_has_the_fields_of_the_record():
    names = {field.name for field in load_contract("room").record("incident").fields}
    assert {field.name for field in msgspec.structs.fields(Incident)} == names


@pytest.mark.parametrize(
    ("values", "subject"),
    [
        ({}, "Freezer 7 (Bern): temperature 6.5 °C, expected -20 to -18 °C - since 14:03"),
        (
            {"transition": "updated", "duration": 14_400.0},
            "Freezer 7 (Bern): still going on, worst: temperature 6.5 °C, "
            "expected -20 to -18 °C - for 4 h",
        ),
        (
            {"transition": "resolved", "duration": 720.0},
            "Freezer 7 (Bern): resolved after 12 min - temperature 6.5 °C, expected -20 to -18 °C",
        ),
        (
            {"transition": "acknowledged", "operator": "Ada"},
            "Freezer 7 (Bern): acknowledged by Ada - temperature 6.5 °C, expected -20 to -18 °C",
        ),
        (
            {"site": None, "opened_at": AT - timedelta(days=1)},
            "Freezer 7: temperature 6.5 °C, expected -20 to -18 °C - since 2026-01-01 14:03",
        ),
        (
            {"device_id": None, "kind": "storm", "explanation": "500 devices are silent"},
            "Bern: 500 devices are silent - since 14:03",
        ),
    ],
)
def test_the_subject_says_what_where_and_since_when(values, subject):
    assert OURS.message(msgspec.structs.replace(FREEZER, **values)).subject == subject


def test_the_text_has_all_that_is_needed_to_act():
    told = Wording(MessageSettings(dashboard="https://d/i/{incident_id}?s={site}"))
    text = told.message(FREEZER).text
    for part in (
        FREEZER.explanation,
        "Freezer 7 (F-200)",
        "Bern",
        "https://www.openstreetmap.org/?mlat=46.94800&mlon=7.44740#map=16/46.94800/7.44740",
        "2026-01-02 14:03 UTC",
        "temperature",
        "6.5",
        "-20 to -18",
        "https://d/i/eddyline-test?s=Bern",
    ):
        assert part in text


def test_what_is_not_known_is_left_out():
    bare = EXAMPLES[-1]
    message = OURS.message(bare)
    assert "None" not in message.subject + message.text + message.html
    assert (message.map, message.dashboard) == ("", "")


def test_times_are_told_in_the_policys_zone():
    zurich = Wording(MessageSettings(time_zone="Europe/Zurich"))
    assert zurich.message(FREEZER).subject.endswith("since 15:03")
    assert "2026-01-02 15:03 CET" in zurich.message(FREEZER).text


def test_a_name_cannot_write_html_and_a_link_cannot_be_broken():
    sly = changed(device_id='<script>"x"</script>&', site="a b/../c?")
    message = Wording(MessageSettings(dashboard="https://d/{device_id}/{site}")).message(sly)
    assert "<script>" not in message.html
    assert message.dashboard == (
        "https://d/%3Cscript%3E%22x%22%3C%2Fscript%3E%26/a%20b%2F..%2Fc%3F"
    )


@given(st.text(), st.text(), st.text())
def test_any_words_give_a_subject_of_one_line(device, site, explanation):
    values = {"device_id": device, "site": site, "explanation": explanation}
    subject = OURS.message(changed(**values)).subject
    assert len(subject) <= 200
    assert subject == " ".join(subject.split())


def test_a_folder_replaces_some_templates(tmp_path):
    (tmp_path / "subject.txt").write_text("{{ incident.severity | upper }}: {{ headline }}")
    wording = read_wording(MessageSettings(templates=str(tmp_path)))
    message = wording.message(FREEZER)
    assert message.subject == "WARNING: temperature 6.5 °C, expected -20 to -18 °C"
    assert message.text == OURS.message(FREEZER).text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ incident.sverity }}", "sverity"),
        ("{% if %}", "template subject.txt"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ incident.explanation.format_map }}{{ 1 / 0 }}", "division"),
    ],
)
def test_a_template_that_is_wrong_is_refused_by_its_name(tmp_path, source, words):
    (tmp_path / "subject.txt").write_text(source)
    with pytest.raises(ValueError, match=words) as refused:
        read_wording(MessageSettings(templates=str(tmp_path)))
    assert "subject.txt" in str(refused.value)


def test_a_folder_without_templates_and_a_zone_that_is_not_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no template in"):
        read_wording(MessageSettings(templates=str(tmp_path)))
    with pytest.raises(ValueError, match="no time zone 'Mars/Base'"):
        read_wording(MessageSettings(time_zone="Mars/Base"))


def test_a_template_that_fails_later_is_replaced_by_ours(caplog):
    source = "{% if incident.count == 77 %}{{ incident.nothing }}{% endif %}mine"
    wording = Wording(MessageSettings(), {"subject.txt": source})
    assert wording.message(FREEZER).subject == "mine"
    odd = msgspec.structs.replace(FREEZER, count=77)
    assert wording.message(odd).subject == OURS.message(odd).subject
    assert "template subject.txt failed" in caplog.text
