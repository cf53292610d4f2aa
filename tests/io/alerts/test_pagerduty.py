"""PagerDuty events: one alert there an incident."""

from eddyline.io.alerts.pagerduty import event


def test_the_transitions_of_an_incident_are_one_alert(alert):
    events = [
        event(alert(transition, revision), "key")
        for revision, transition in enumerate(("opened", "updated", "acknowledged", "resolved"))
    ]
    assert [e["event_action"] for e in events] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {e["dedup_key"] for e in events} == {"eddyline-test"}


def test_it_says_what_a_person_needs(alert):
    told = event(alert(), "key")
    assert told["payload"]["severity"] == "warning"
    assert told["payload"]["source"] == "freezer-7"
    assert told["payload"]["summary"].startswith("freezer-7 (Test): ")
    assert told["payload"]["custom_details"]["key"] == "eddyline-test:0:opened"
    assert [link["text"] for link in told["links"]] == ["Dashboard", "Map"]
