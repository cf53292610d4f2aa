"""E-mail over SMTP with TLS."""

import hashlib
import smtplib
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime

from eddyline.io.secret import Secrets
from eddyline.schemas.alert import Alert, Failed
from eddyline.schemas.alert_channel import SmtpChannel

PRIORITIES = {"critical": "1", "error": "2"}


class SmtpSender:
    """Sends an e-mail of text and HTML, one connection an alert.

    Its Message-ID is of the key, by which mail stores deduplicate; the later transitions of an
    incident answer its opening, so that a mail program shows them as one thread.
    """

    def __init__(self, config: SmtpChannel, secrets: Secrets) -> None:
        self._config, self._secrets = config, secrets

    def send(self, alert: Alert) -> str:
        """Send it once; taken for some of the receivers is delivered, for none it is not."""
        try:
            with self._connection() as connection:
                refused = connection.send_message(email(alert, self._config))
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(*min(error.recipients.values())) from None
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Failed(str(error), status="not supported", permanent=True) from None
        except (smtplib.SMTPException, OSError) as error:
            name = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
            raise Failed(f"no connection: {name}", status=name) from None
        return f"250, {len(refused)} of {len(self._config.to)} refused" if refused else "250"

    @contextmanager
    def _connection(self) -> Generator[smtplib.SMTP]:
        config = self._config
        context = ssl.create_default_context(cafile=config.ca or None)
        where, timeout = (config.host, config.port), config.limits.timeout
        if config.tls == "implicit":
            connection = smtplib.SMTP_SSL(*where, timeout=timeout, context=context)
        else:
            connection = smtplib.SMTP(*where, timeout=timeout)
        try:
            if config.tls == "starttls":
                connection.starttls(context=context)
            if config.password is not None:
                connection.login(config.user, self._secrets.read(config.password))
            yield connection
        finally:
            # QUIT would wait for an answer once more, and the mail is taken or refused by now.
            connection.close()


def email(alert: Alert, config: SmtpChannel) -> EmailMessage:
    """The e-mail: plain text with an HTML alternative."""
    incident = alert.incident
    domain = config.sender.rpartition("@")[2]
    opening = f"{incident.incident_id}:0:opened"
    mail = EmailMessage()
    mail["From"], mail["To"] = config.sender, ", ".join(config.to)
    mail["Subject"] = " ".join(alert.message.subject.split())
    mail["Date"] = format_datetime(incident.event_time)
    mail["Message-ID"] = message_id(alert.key, domain)
    if alert.key != opening:
        mail["In-Reply-To"] = mail["References"] = message_id(opening, domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Eddyline-Key"] = hashlib.sha256(alert.key.encode()).hexdigest()[:32]
    if priority := PRIORITIES.get(incident.severity):
        mail["X-Priority"] = priority
    mail.set_content(alert.message.text)
    mail.add_alternative(alert.message.html, subtype="html")
    return mail


def message_id(key: str, domain: str) -> str:
    """The Message-ID of a key: the same in every attempt.

    Example:
        >>> message_id("a:0:opened", "example.org")
        '<a24005dd055124b175d19d5587213b1c@example.org>'
    """
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def _refused(code: int, words: bytes | str) -> Failed:
    told = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return Failed(f"{code} {told}"[:200], status=str(code), permanent=not 400 <= code < 500)
