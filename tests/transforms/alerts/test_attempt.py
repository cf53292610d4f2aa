"""A round of attempts ends at the first failure that may pass."""

import pytest

from eddyline.schemas.alert import Alert, Failed, Message
from eddyline.transforms.alerts.alert_message import example
from eddyline.transforms.alerts.attempt import attempt_each

MESSAGE = Message(subject="s", text="t", html="h")


@pytest.mark.parametrize(
    ("answers", "tried"),
    [
        (["ok", "ok", "ok"], [True, True, True]),
        (["no", "ok", "no"], [True, True, True]),
        (["busy", "ok", "ok"], [True, False, False]),
        (["ok", "busy", "ok"], [True, True, False]),
    ],
)
def test_what_comes_after_a_failure_that_may_pass_is_not_tried(answers, tried):
    sent = []

    class Sender:
        def send(self, alert):
            sent.append(alert.key)
            answer = answers[len(sent) - 1]
            if answer != "ok":
                raise Failed(answer, status=answer, permanent=answer == "no")
            return "200"

    alerts = [
        Alert(channel="chat", incident=example("updated", revision=n), message=MESSAGE)
        for n in range(3)
    ]
    attempts = list(attempt_each(alerts, Sender(), lambda: 0.0))
    assert [attempt.tried for attempt in attempts] == tried
    assert [attempt.key for attempt in attempts] == [alert.key for alert in alerts]
    assert len(sent) == sum(tried)
