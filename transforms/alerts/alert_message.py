"""Words an alert: what a person reads on a phone, in an e-mail, in a chat."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from urllib.parse import quote
from zoneinfo import ZoneInfo

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from eddyline.schemas.alert import Incident, Message
from eddyline.schemas.alert_channel import MessageSettings
from eddyline.transforms.incidents.duration_words import tell_duration

LOG = logging.getLogger(__name__)
NAMES = ("subject.txt", "message.txt", "message.html")
LONGEST_SUBJECT = 200
LONGEST_HEADLINE = 110


class Wording:
    """The templates of one policy.

    Guarantee: a message always comes: a template that fails on some incident is told in the log,
    and ours is taken for it. Templates run in Jinja's sandbox; in HTML every value is escaped.

    Args:
        settings: Time zone, dashboard and folder; see `MessageSettings`.
        replaced: Templates that replace ours, by name.

    Raises:
        ValueError: A template does not compile or fails on an example, or there is no such time
            zone; the message names which.

    Example:
        >>> t = datetime(2026, 1, 2, 14, 3, tzinfo=UTC)
        >>> freezer = Incident(incident_id="a", revision=0, transition="opened", kind="event",
        ...     severity="error", event_time=t, opened_at=t, last_seen=t, count=1, duration=0.0,
        ...     device_id="Freezer 7", site="Bern",
        ...     explanation="temperature 6.5 °C, expected -20 to -18 °C: 41 times its deviation")
        >>> Wording(MessageSettings(time_zone="Europe/Zurich")).message(freezer).subject
        'Freezer 7 (Bern): temperature 6.5 °C, expected -20 to -18 °C - since 15:03'
    """

    def __init__(
        self, settings: MessageSettings, replaced: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings
        try:
            self._zone = ZoneInfo(settings.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"no time zone {settings.time_zone!r}") from error
        self._ours = {name: self._compile(name, _shipped(name)) for name in NAMES}
        self._templates = dict(self._ours)
        for name, source in (replaced or {}).items():
            self._templates[name] = self._compile(name, source)
            self._try(name)

    def message(self, incident: Incident) -> Message:
        """The incident's transition in words."""
        dashboard = _filled(self._settings.dashboard, incident)
        place = map_link(incident.latitude, incident.longitude)
        values = {
            "incident": incident,
            "headline": headline(incident.explanation),
            "expected": expected(incident),
            "dashboard": dashboard,
            "map": place,
        }
        subject = " ".join(self._render("subject.txt", values).split())[:LONGEST_SUBJECT]
        values["subject"] = subject
        return Message(
            subject=subject,
            text=self._render("message.txt", values).strip() + "\n",
            html=self._render("message.html", values).strip() + "\n",
            dashboard=dashboard,
            map=place,
        )

    def _render(self, name: str, values: Mapping[str, object]) -> str:
        template = self._templates[name]
        try:
            return template.render(values)
        except Exception as error:
            # Whatever a template of the user's does must not keep the alert from being told.
            if template is self._ours[name]:
                raise
            LOG.warning("template %s failed, ours was taken: %s", name, error)
            return self._ours[name].render(values)

    def _try(self, name: str) -> None:
        for incident in EXAMPLES:
            values = {
                "incident": incident,
                "headline": headline(incident.explanation),
                "expected": expected(incident),
                "dashboard": "https://example.org/incidents/1",
                "map": "",
                "subject": "a subject",
            }
            try:
                self._templates[name].render(values)
            except Exception as error:
                raise ValueError(f"template {name}: {error}") from error

    def _compile(self, name: str, source: str) -> Template:
        environment = ImmutableSandboxedEnvironment(
            autoescape=name.endswith(".html"),
            undefined=StrictUndefined,
            keep_trailing_newline=False,
        )
        environment.filters |= {"moment": self._moment, "span": tell_duration, "number": number}
        try:
            return environment.from_string(source)
        except TemplateError as error:
            raise ValueError(f"template {name}: {error}") from error

    def _moment(self, time: datetime, beside: datetime | None = None) -> str:
        """A time of day in the zone; with its date unless `beside` is of the same day."""
        local = time.astimezone(self._zone)
        if beside is not None and beside.astimezone(self._zone).date() == local.date():
            return local.strftime("%H:%M")
        return local.strftime("%Y-%m-%d %H:%M" + ("" if beside else " %Z"))


def read_wording(settings: MessageSettings) -> Wording:
    """The wording of a policy, with the templates of its folder (local, s3:// or gs://).

    A name that is not there is ours.

    Raises:
        ValueError: A template is wrong, the folder has none, or there is no such time zone.
    """
    replaced: dict[str, str] = {}
    for name in NAMES if settings.templates else ():
        path = FileSystems.join(settings.templates, name)
        try:
            if FileSystems.exists(path):
                with FileSystems.open(path) as file:
                    replaced[name] = file.read().decode()
        except (BeamIOError, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"template {path}: {error}") from error
    if settings.templates and not replaced:
        raise ValueError(f"no template in {settings.templates}; there may be {', '.join(NAMES)}")
    return Wording(settings, replaced)


def headline(explanation: str) -> str:
    """The explanation's first statement, as long as a phone shows.

    Example:
        >>> headline("temperature 6.5 °C, expected 18.7 to 19.9: 41 times its usual deviation")
        'temperature 6.5 °C, expected 18.7 to 19.9'
    """
    words = " ".join(explanation.split(": ")[0].split()).rstrip(".")
    return words if len(words) <= LONGEST_HEADLINE else words[: LONGEST_HEADLINE - 1] + "…"


def expected(incident: Incident) -> str:
    """What was expected: a range where one is known, else a value, else nothing."""
    low, high = incident.expected_low, incident.expected_high
    if low is not None and high is not None:
        return f"{number(low)} to {number(high)}"
    return "" if incident.expected is None else number(incident.expected)


def map_link(latitude: float | None, longitude: float | None) -> str:
    """The place on OpenStreetMap, or nothing where it is not known.

    Example:
        >>> map_link(46.948, 7.4474)
        'https://www.openstreetmap.org/?mlat=46.94800&mlon=7.44740#map=16/46.94800/7.44740'
    """
    if latitude is None or longitude is None:
        return ""
    at = f"{latitude:.5f}", f"{longitude:.5f}"
    return f"https://www.openstreetmap.org/?mlat={at[0]}&mlon={at[1]}#map=16/{at[0]}/{at[1]}"


def number(value: float) -> str:
    """A number as people write it.

    Example:
        >>> number(6.5), number(-20.0), number(1013.2512)
        ('6.5', '-20', '1013.25')
    """
    return f"{value:.6g}"


def _filled(address: str, incident: Incident) -> str:
    for name in ("incident_id", "device_id", "site"):
        value = quote(getattr(incident, name) or "", safe="")
        address = address.replace("{" + name + "}", value)
    return address


def _shipped(name: str) -> str:
    return (files("eddyline.transforms.alerts") / "templates" / name).read_text(encoding="utf-8")


_AT = datetime(2026, 1, 2, 14, 3, tzinfo=UTC)


def example(transition: str = "opened", kind: str = "event", revision: int = 0) -> Incident:
    """An incident to try channels and templates with; it says that it is a test."""
    return Incident(
        incident_id="eddyline-test",
        revision=revision,
        transition=transition,
        kind=kind,
        severity="warning",
        event_time=_AT + timedelta(minutes=5 * revision),
        opened_at=_AT,
        last_seen=_AT,
        count=1,
        duration=300.0 * revision,
        device_id="freezer-7",
        site="Test",
        latitude=46.948,
        longitude=7.4474,
        model="F-200",
        score=14.2,
        peak=14.2,
        sign="level",
        channels=("temperature",),
        observed=6.5,
        expected=-19.0,
        expected_low=-20.0,
        expected_high=-18.0,
        explanation="a test of eddyline, temperature 6.5 °C, expected -20 to -18 °C",
    )


_BARE = Incident(
    incident_id="eddyline-test-2",
    revision=0,
    transition="opened",
    kind="storm",
    severity="critical",
    event_time=_AT,
    opened_at=_AT,
    last_seen=_AT,
    count=500,
    duration=0.0,
    explanation="500 devices are silent",
)
EXAMPLES = (
    example(),
    example("updated", revision=1),
    example("resolved", revision=2),
    example("opened", "silent"),
    _BARE,
)
