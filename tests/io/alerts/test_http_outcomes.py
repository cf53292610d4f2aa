"""What webhook, Slack and PagerDuty make of each answer of a peer."""

import time

import pytest

from eddyline.io.alerts.senders import open_sender
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import Limits, PagerdutyChannel, SlackChannel, WebhookChannel

LIMITS = Limits(timeout=1.0)
KINDS = ["webhook", "slack", "slack_bot", "pagerduty"]
OK = (200, {"Content-Type": "application/json"}, b'{"ok": true}')


@pytest.fixture
def sender_to(monkeypatch):
    def make(kind, url):
        monkeypatch.setenv("A_SECRET", f"{url}/services/T0/B0/abcdef")
        monkeypatch.setenv("A_TOKEN", "xoxb-token")
        return open_sender(
            {
                "webhook": WebhookChannel(url=f"{url}/hook", limits=LIMITS),
                "slack": SlackChannel(webhook="env:A_SECRET", limits=LIMITS),
                "slack_bot": SlackChannel(
                    token="env:A_TOKEN", channel="#alerts", api=f"{url}/api/", limits=LIMITS
                ),
                "pagerduty": PagerdutyChannel(
                    routing_key="env:A_TOKEN", url=f"{url}/v2/enqueue", limits=LIMITS
                ),
            }[kind]
        )

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_that_takes_it_was_delivered(kind, sender_to, start_peer, alert):
    peer = start_peer(OK)
    assert sender_to(kind, peer.url).send(alert()) == "200"
    assert len(peer.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_busy_peer_may_be_tried_again(kind, status, sender_to, start_peer, alert):
    peer = start_peer((status, {"Retry-After": "7"}, b"busy"))
    with pytest.raises(Failed) as failed:
        sender_to(kind, peer.url).send(alert())
    assert (failed.value.permanent, failed.value.status) == (False, str(status))
    assert failed.value.retry_after == 7.0
    assert len(peer.requests) == 1, "the retries are ours"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_permanent(kind, status, sender_to, start_peer, alert):
    peer = start_peer((status, {}, b"no"))
    with pytest.raises(Failed) as failed:
        sender_to(kind, peer.url).send(alert())
    assert (failed.value.permanent, failed.value.status) == (True, str(status))
    assert len(peer.requests) == 1


@pytest.mark.parametrize("kind", ["webhook", "pagerduty"])
def test_no_alert_follows_a_redirect(kind, sender_to, start_peer, alert):
    elsewhere = start_peer()
    peer = start_peer((302, {"Location": elsewhere.url}, b""))
    with pytest.raises(Failed) as failed:
        sender_to(kind, peer.url).send(alert())
    assert (failed.value.permanent, failed.value.status) == (True, "302")
    assert elsewhere.requests == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_that_hangs_costs_one_timeout(kind, sender_to, start_peer, alert):
    peer = start_peer("hang")
    start = time.monotonic()
    with pytest.raises(Failed) as failed:
        sender_to(kind, peer.url).send(alert())
    assert (failed.value.permanent, failed.value.status) == (False, "timeout")
    assert 0.9 < time.monotonic() - start < 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_is_reset_or_refused_may_be_tried_again(
    kind, sender_to, start_peer, alert
):
    peer = start_peer("reset", OK)
    sender = sender_to(kind, peer.url)
    with pytest.raises(Failed) as failed:
        sender.send(alert())
    assert not failed.value.permanent
    assert sender.send(alert()) == "200"
    with pytest.raises(Failed) as failed:
        sender_to(kind, "http://127.0.0.1:1").send(alert())
    assert (failed.value.permanent, failed.value.status == "timeout") == (False, False)


def test_slack_says_no_with_status_200(sender_to, start_peer, alert):
    kind = {"Content-Type": "application/json"}
    peer = start_peer(
        (200, kind, b'{"ok": false, "error": "channel_not_found"}'),
        (200, kind, b'{"ok": false, "error": "internal_error"}'),
    )
    sender = sender_to("slack_bot", peer.url)
    found = []
    for _ in range(2):
        with pytest.raises(Failed) as failed:
            sender.send(alert())
        found.append((failed.value.status, failed.value.permanent))
    assert found == [("channel_not_found", True), ("internal_error", False)]


def test_a_rotated_secret_is_taken_up_at_once(sender_to, start_peer, alert, monkeypatch):
    peer = start_peer(OK, (401, {}, b"who are you"), OK)
    sender = sender_to("pagerduty", peer.url)
    sender.send(alert())
    monkeypatch.setenv("A_TOKEN", "xoxb-rotated")
    assert sender.send(alert()) == "200"
    keys = [request.json["routing_key"] for request in peer.requests]
    assert keys == ["xoxb-token", "xoxb-token", "xoxb-rotated"]


def test_a_peer_that_repeats_the_secret_does_not_get_it_told(sender_to, start_peer, alert):
    peer = start_peer((400, {}, b"bad key xoxb-token"))
    with pytest.raises(Failed, match=r"400: bad key \[secret\]"):
        sender_to("pagerduty", peer.url).send(alert())


def test_an_unchanged_secret_that_is_refused_is_permanent(sender_to, start_peer, alert):
    peer = start_peer((401, {}, b"who are you"))
    with pytest.raises(Failed) as failed:
        sender_to("pagerduty", peer.url).send(alert())
    assert failed.value.permanent
    assert len(peer.requests) == 1
