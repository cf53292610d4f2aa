"""The policy: what holds for a device, who is told of its incidents, and when nobody is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, get_args

from msgspec import UNSET

from eddyline.schemas.alert_channel import AlertChannel, MessageSettings
from eddyline.transforms.policy.globs import NOTHING, Globs, Rank
from eddyline.transforms.policy.incident_filter import IncidentFilter
from eddyline.transforms.policy.mute import Window
from eddyline.transforms.policy.policy_file import (
    DeviceMatch,
    Kind,
    PolicyFile,
    RuleSettings,
    Written,
    read_policy_file,
)
from eddyline.transforms.policy.yaml_document import Document

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SWITCH = "kinds."
"""Before a kind: the setting that says whether it is on."""


@dataclass(frozen=True)
class Silence:
    """When a device is silent, and when one that the registry expects is missing.

    Args:
        factor: Silent after so many times its own cadence without a reading,
        minimum: but not before so many seconds.
        grace: Missing when it was not heard so many seconds after the stream began.
    """

    factor: float = 3.0
    minimum: float = 60.0
    grace: float = 3600.0


@dataclass(frozen=True)
class Flapping:
    """So many openings of one kind within so many seconds are one flapping."""

    times: int = 4
    within: float = 86400.0


@dataclass(frozen=True)
class Storm:
    """What makes many incidents of one site a storm.

    Args:
        devices: So many devices of the site; 0 for no storms.
        share: Or such a share of the site's devices; 0 for none.
        within: That open within so many seconds.
    """

    devices: int = 10
    share: float = 0.3
    within: float = 30.0


@dataclass(frozen=True)
class Rule:
    """What holds for one device.

    Args:
        off: Kinds that raise nothing.
        thresholds: Scores from which a kind alarms, in the detector's unit; only those that are
            set, the others are the detector's own.
        silence: When it is silent.
        quiet: Seconds without an alarm after which an incident resolves.
        reminders: Seconds after its opening at which an open incident is told again; after the
            last one once a day. Empty: never.
        flapping: When it flaps.
    """

    off: frozenset[str] = frozenset()
    thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    silence: Silence = Silence()
    quiet: float = 600.0
    reminders: tuple[float, ...] = (3600.0, 14400.0, 86400.0)
    flapping: Flapping = Flapping()


class Origin(NamedTuple):
    """Where a setting was said; `line` 0 for what nobody said."""

    name: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name} (line {self.line})" if self.line else self.name


class Effective(NamedTuple):
    """A setting that holds, and which part of the file said so."""

    setting: str
    value: Any
    origin: Origin


BUILT_IN = Origin("built in")
Settings = Mapping[str, Any]
"""Setting -> value, such as `silence.factor`; each is looked for by itself."""


@dataclass(frozen=True)
class Entry:
    """Settings for what matches.

    Args:
        origin: Where it was said.
        match: Globs of device, model and site (of a storm: of site), the weightiest first; None
            where any will do.
        settings: What it says.
    """

    origin: Origin
    match: tuple[Globs | None, ...]
    settings: Settings

    def rank(self, names: Sequence[str | None]) -> tuple[Rank, ...] | None:
        """How specific it is for a device; None where it does not match."""
        ranks: list[Rank] = []
        for globs, name in zip(self.match, names, strict=True):
            found = NOTHING if globs is None else globs.match(name)
            if found is None:
                return None
            ranks.append(found)
        return tuple(ranks)


class Mute(NamedTuple):
    """A mute window."""

    origin: Origin
    takes: IncidentFilter
    window: Window


class Route(NamedTuple):
    """A route."""

    origin: Origin
    takes: IncidentFilter
    channels: tuple[str, ...]
    stop: bool


class Policy:
    """What a policy file says, ready to be asked.

    Guarantee: the most specific rule wins, each setting by itself. A rule is more specific if its
    `device` says more; where both say the same, if its `model` does, then its `site`. A whole name
    says more than any glob, a glob with more literal characters more than one with fewer, `*` as
    much as nothing. Of two that say the same the later one in the file wins. What no rule says is
    as `defaults` has it, then as built in.

    Args:
        written: The file.

    Example:
        >>> policy = read_policy("policy.yaml", b'''
        ... rules:
        ...   - {match: {site: cold-*}, quiet: 5m, silence: {factor: 2}}
        ...   - {match: {device: probe-*}, quiet: 20m}
        ... ''')
        >>> rule = policy.rule("probe-1", "cold-7", None)
        >>> rule.quiet, rule.silence.factor, rule.silence.minimum
        (1200.0, 2.0, 60.0)
    """

    def __init__(self, written: Written) -> None:
        file = written.file
        self.channels: Mapping[str, AlertChannel] = written.channels
        self.messages: MessageSettings = file.messages
        self.rules, self.storms = _rules(written), _storms(written)
        self.mutes = [
            Mute(Origin(m.name, written.line("mute", i)), IncidentFilter.of(m.match), m.window())
            for i, m in enumerate(file.mute)
        ]
        self.route_list = [
            Route(
                Origin(r.name or f"routes[{i}]", written.line("routes", i)),
                IncidentFilter.of(r.match),
                r.channels,
                r.stop,
            )
            for i, r in enumerate(file.routes)
        ]
        # Devices of the same rules share one Rule: ten million devices need few of them.
        self._known: dict[tuple[int, ...], Rule] = {}

    def rule(self, device_id: str, site: str | None, model: str | None) -> Rule:
        """What holds for a device; the same object for devices for which the same rules hold."""
        order = _order(self.rules, (device_id, model, site))
        if order not in self._known:
            said = {e.setting: e.value for e in _effective(self.rules, order, _BUILT_IN_RULE)}
            self._known[order] = _rule(said)
        return self._known[order]

    def explain(self, device_id: str, site: str | None, model: str | None) -> list[Effective]:
        """Each setting that holds for a device, and which part of the file said so."""
        order = _order(self.rules, (device_id, model, site))
        return _effective(self.rules, order, _BUILT_IN_RULE)

    def storm(self, site: str | None) -> Storm:
        """What makes a storm of a site."""
        said = {e.setting: e.value for e in self.explain_storm(site)}
        return Storm(**said)

    def explain_storm(self, site: str | None) -> list[Effective]:
        """What makes a storm of a site, and which part of the file said so."""
        return _effective(self.storms, _order(self.storms, (site,)), _BUILT_IN_STORM)

    def routes(self, transition: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the channels that a row of the incident record goes to, each once.

        Every route that takes it adds its channels, until one that says `stop`.
        """
        return tuple(
            dict.fromkeys(name for route in self.taking(transition) for name in route.channels)
        )

    def taking(self, transition: Mapping[str, Any]) -> Iterator[Route]:
        """The routes that take a row of the incident record."""
        for route in self.route_list:
            if route.takes.takes(transition):
                yield route
                if route.stop:
                    return

    def muted(self, transition: Mapping[str, Any]) -> str | None:
        """Name of the first mute window that holds for a row of the incident record, or None.

        The row's own event time decides, never the time of day: a replay mutes what the live run
        muted. It may be a datetime or microseconds since the epoch.
        """
        time = transition["event_time"]
        at = time if isinstance(time, datetime) else _EPOCH + timedelta(microseconds=time)
        for mute in self.mutes:
            if mute.takes.takes(transition) and mute.window.holds(at):
                return mute.origin.name
        return None


def read_policy(path: str, content: bytes) -> Policy:
    """Read a policy file; see `read_policy_file` for what is refused. For `Reloaded`."""
    return Policy(read_policy_file(path, content))


def _order(entries: Sequence[Entry], names: tuple[str | None, ...]) -> tuple[int, ...]:
    """Indexes of the entries that match, the most specific last."""
    ranked = [(rank, i) for i, e in enumerate(entries) if (rank := e.rank(names)) is not None]
    return tuple(i for _, i in sorted(ranked))


def _effective(
    entries: Sequence[Entry], order: Sequence[int], built_in: Settings
) -> list[Effective]:
    said = {name: Effective(name, value, BUILT_IN) for name, value in built_in.items()}
    for entry in (entries[i] for i in order):
        for name, value in entry.settings.items():
            said[name] = Effective(name, value, entry.origin)
    return list(said.values())


def _rules(written: Written) -> list[Entry]:
    file = written.file
    defaults = Origin("defaults", written.line("defaults"))
    entries = [Entry(defaults, (None, None, None), _settings(file.defaults))]
    for i, rule in enumerate(file.rules):
        origin = Origin(rule.name or f"rules[{i}]", written.line("rules", i))
        entries.append(Entry(origin, _globs(rule.match), _settings(rule)))
    return entries


def _storms(written: Written) -> list[Entry]:
    return [
        Entry(
            Origin(storm.name or f"storms[{i}]", written.line("storms", i)),
            (None if storm.match is UNSET else Globs.of(storm.match.site),),
            _given(storm, ("devices", "share", "within")),
        )
        for i, storm in enumerate(written.file.storms)
    ]


def _globs(match: DeviceMatch) -> tuple[Globs | None, ...]:
    return tuple(
        None if names is UNSET else Globs.of(names)
        for names in (match.device, match.model, match.site)
    )


def _settings(rule: RuleSettings) -> Settings:
    said = {f"{SWITCH}{kind}": True for kind in rule.on}
    said |= {f"{SWITCH}{kind}": False for kind in rule.off}
    for part in ("thresholds", "silence", "flapping"):
        values = getattr(rule, part)
        for name, value in _given(values, values.__struct_fields__).items():
            said[f"{part}.{name}"] = value
    return said | _given(rule, ("quiet", "reminders"))


def _given(part: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names if getattr(part, name) is not UNSET}


def _rule(said: Settings) -> Rule:
    def of(part: str) -> dict[str, Any]:
        return {n.removeprefix(part): v for n, v in said.items() if n.startswith(part)}

    return Rule(
        off=frozenset(kind for kind, on in of(SWITCH).items() if not on),
        thresholds=of("thresholds."),
        silence=Silence(**of("silence.")),
        quiet=said["quiet"],
        reminders=said["reminders"],
        flapping=Flapping(**of("flapping.")),
    )


_PLAIN = Rule()
_BUILT_IN_RULE: Settings = {
    **{f"{SWITCH}{kind}": True for kind in get_args(Kind)},
    **{f"silence.{name}": value for name, value in vars(Silence()).items()},
    "quiet": _PLAIN.quiet,
    "reminders": _PLAIN.reminders,
    **{f"flapping.{name}": value for name, value in vars(Flapping()).items()},
}
_BUILT_IN_STORM: Settings = vars(Storm())
DEFAULT = Policy(Written(PolicyFile(), {}, Document(None, None)))
"""The policy of no file: nobody is told, all else as built in."""
