"""A webhook's body, its key and its signature."""

import re
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.alerts.signature import sign, verify
from eddyline.io.alerts.webhook import WebhookSender
from eddyline.io.secret import Secrets
from eddyline.schemas.alert_channel import WebhookChannel

NOW = 1_767_312_000.0


def test_a_receiver_can_verify_deduplicate_and_read_it(start_peer, alert):
    peer = start_peer()
    secrets = Secrets(clock=lambda: 0.0, stores={"env": {"KEY": "hush", "T": "Bearer x"}.get})
    config = WebhookChannel(
        url=f"{peer.url}/in?x=1", secret="env:KEY", headers={"Authorization": "env:T", "X-A": "b"}
    )
    WebhookSender(config, secrets, lambda: NOW).send(alert())
    (request,) = peer.requests
    assert verify("hush", request.body, request.headers["x-eddyline-signature"], NOW + 10)
    assert request.headers["idempotency-key"] == "eddyline-test:0:opened"
    assert (request.headers["authorization"], request.headers["x-a"]) == ("Bearer x", "b")
    assert request.path == "/in?x=1"
    told = request.json
    assert told["key"] == "eddyline-test:0:opened"
    assert told["dashboard"] == "https://dash.example/incidents/eddyline-test"
    assert told["incident"]["opened_at"] == "2026-01-02T14:03:00Z"
    assert told["incident"]["observed"] == 6.5


def test_no_secret_is_no_signature(start_peer, alert):
    peer = start_peer()
    WebhookSender(WebhookChannel(url=peer.url), Secrets(), lambda: NOW).send(alert())
    assert "x-eddyline-signature" not in peer.requests[0].headers


@given(st.binary(), st.binary(), st.text(min_size=1), st.text(min_size=1))
def test_a_signature_fits_one_secret_and_one_body(body, other, secret, stranger):
    signature = sign(secret, body, NOW)
    assert verify(secret, body, signature, NOW)
    assert verify(secret, other, signature, NOW) == (body == other)
    assert verify(stranger, body, signature, NOW) == (secret == stranger)


def test_the_receiver_of_the_docs_verifies_as_we_do():
    page = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    receiver = {}
    exec(code, receiver)
    now = time.time()
    assert receiver["verify"]("secret", b"{}", sign("secret", b"{}", now))
    assert not receiver["verify"]("secret", b"[]", sign("secret", b"{}", now))
    assert not receiver["verify"]("other", b"{}", sign("secret", b"{}", now))
    assert not receiver["verify"]("secret", b"{}", sign("secret", b"{}", now - 400))
    assert not receiver["verify"]("secret", b"{}", "nonsense")


@given(st.text())
def test_no_header_whatever_is_verified_or_breaks_it(header):
    assert not verify("secret", b"{}", header, NOW)


def test_an_old_request_is_not_taken_again_even_with_its_time_put_forward():
    old = sign("secret", b"{}", NOW)
    assert not verify("secret", b"{}", old, NOW + 301)
    assert not verify("secret", b"{}", old, NOW - 301)
    forged = old.replace(str(int(NOW)), str(int(NOW) + 301))
    assert not verify("secret", b"{}", forged, NOW + 301)
