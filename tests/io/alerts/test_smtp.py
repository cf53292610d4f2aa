"""E-mail against a real SMTP server with TLS."""

import email.policy
import ssl
from email import message_from_bytes

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from eddyline.io.alerts.senders import open_sender
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import Limits, SmtpChannel

# aiosmtpd asks for an attribute that it has itself deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")


class Inbox:
    """Keeps mails, or answers as it is told."""

    def __init__(self):
        self.mails, self.answers = [], []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server, session, envelope, address, options
    ):
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server, session, envelope
    ):
        if self.answers:
            return self.answers.pop(0)
        self.mails.append(envelope)
        return "250 OK"


class FreePort(Controller):
    """A controller that takes a free port and tells it."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def start_smtp(authority, tmp_path):
    started = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)

    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(
            handled=False, success=(data.login, data.password) == (b"eddy", b"hunter22")
        )

    def start(tls="starttls", login=False):
        inbox = Inbox()
        settings = {"hostname": "127.0.0.1", "port": 0, "server_hostname": "localhost"}
        if tls == "starttls":
            settings |= {"tls_context": context, "require_starttls": True}
        if tls == "implicit":
            settings |= {"ssl_context": context}
        if login:
            settings |= {"authenticator": authenticate, "auth_required": True}
        server = FreePort(inbox, **settings)
        server.start()
        started.append(server)
        config = {
            "host": "localhost",
            "port": server.port,
            "sender": "eddyline@example.org",
            "to": ("ops@example.org",),
            "tls": tls,
            "ca": str(ca),
            "limits": Limits(timeout=2.0),
        }
        return inbox, config

    yield start
    for server in started:
        server.stop()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_an_e_mail_arrives_encrypted_with_text_and_html(tls, start_smtp, alert):
    inbox, config = start_smtp(tls)
    assert open_sender(SmtpChannel(**config)).send(alert()) == "250"
    (envelope,) = inbox.mails  # both servers take nothing that is not encrypted
    assert envelope.rcpt_tos == ["ops@example.org"]
    mail = message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["Subject"].startswith("freezer-7 (Test): ")
    assert "6.5 °C" in mail["Subject"]
    assert "openstreetmap.org" in mail.get_body(("plain",)).get_content()
    assert "<table" in mail.get_body(("html",)).get_content()


def test_later_transitions_answer_the_opening_and_a_repeat_has_the_same_id(start_smtp, alert):
    inbox, config = start_smtp()
    sender = open_sender(SmtpChannel(**config))
    for transition, revision in (("opened", 0), ("opened", 0), ("resolved", 1)):
        sender.send(alert(transition, revision))
    opened, again, resolved = [message_from_bytes(envelope.content) for envelope in inbox.mails]
    assert opened["Message-ID"] == again["Message-ID"] != resolved["Message-ID"]
    assert opened["In-Reply-To"] is None
    assert resolved["In-Reply-To"] == resolved["References"] == opened["Message-ID"]


def test_a_certificate_that_is_not_trusted_gets_no_mail(start_smtp, alert):
    inbox, config = start_smtp()
    with pytest.raises(Failed, match="SSLCertVerificationError"):
        open_sender(SmtpChannel(**{**config, "ca": ""})).send(alert())
    assert inbox.mails == []


def test_it_logs_in_and_a_wrong_password_is_permanent_and_not_told(start_smtp, alert, monkeypatch):
    inbox, config = start_smtp(login=True)
    monkeypatch.setenv("MAIL_PASSWORD", "hunter22")
    channel = SmtpChannel(**config, user="eddy", password="env:MAIL_PASSWORD")
    assert open_sender(channel).send(alert()) == "250"
    monkeypatch.setenv("MAIL_PASSWORD", "wrong-password")
    with pytest.raises(Failed) as failed:
        open_sender(channel).send(alert())
    assert (failed.value.status, failed.value.permanent) == ("535", True)
    assert "wrong-password" not in str(failed.value)
    assert len(inbox.mails) == 1


def test_4xx_may_be_tried_again_and_5xx_is_permanent(start_smtp, alert):
    inbox, config = start_smtp()
    inbox.answers = ["451 try later", "554 spam"]
    sender = open_sender(SmtpChannel(**config))
    found = []
    for _ in range(2):
        with pytest.raises(Failed) as failed:
            sender.send(alert())
        found.append((failed.value.status, failed.value.permanent))
    assert found == [("451", False), ("554", True)]


def test_some_receivers_may_be_refused_but_not_all(start_smtp, alert):
    inbox, config = start_smtp()
    both = {**config, "to": ("nobody@example.org", "ops@example.org")}
    assert open_sender(SmtpChannel(**both)).send(alert()) == "250, 1 of 2 refused"
    assert len(inbox.mails) == 1
    with pytest.raises(Failed) as failed:
        open_sender(SmtpChannel(**{**config, "to": ("nobody@example.org",)})).send(alert())
    assert (failed.value.status, failed.value.permanent) == ("550", True)


def test_a_server_that_is_not_there_may_be_tried_again(alert):
    channel = SmtpChannel(host="127.0.0.1", port=1, sender="a@b.c", to=("d@e.f",))
    with pytest.raises(Failed) as failed:
        open_sender(channel).send(alert())
    assert (failed.value.status, failed.value.permanent) == ("ConnectionRefusedError", False)
