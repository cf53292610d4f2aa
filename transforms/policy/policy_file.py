"""The policy file's form: read whole, or refused in words that say where and what to do."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from eddyline.schemas.alert_channel import AlertChannel, MessageSettings
from eddyline.schemas.duration import Seconds
from eddyline.transforms.policy.channel_check import read_channel
from eddyline.transforms.policy.misread import Misread, convert
from eddyline.transforms.policy.mute import (
    Days,
    Recurring,
    TimeOfDay,
    Weekly,
    Window,
    moment_of,
    zone_of,
)
from eddyline.transforms.policy.severity import SEVERITIES
from eddyline.transforms.policy.yaml_document import Document, read_yaml

Kind = Literal["event", "condition", "out_of_limits", "silent", "missing", "flapping"]
IncidentKind = Kind | Literal["storm"]
Severity = Literal["info", "warning", "error", "critical"]
Transition = Literal["opened", "updated", "resolved", "acknowledged", "confirmed", "false_alarm"]
Name = Annotated[str, Meta(min_length=1)]
Names = Name | Annotated[tuple[Name, ...], Meta(min_length=1)]
Threshold = Annotated[float, Meta(gt=0)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file: a key that it has not is an error."""


class DeviceMatch(_Part, frozen=True, kw_only=True):
    """Which devices; each is a glob or a list of globs, and all that are given must match."""

    device: Names | UnsetType = UNSET
    model: Names | UnsetType = UNSET
    site: Names | UnsetType = UNSET


class SiteMatch(_Part, frozen=True, kw_only=True):
    """Which sites."""

    site: Names


class IncidentMatch(DeviceMatch, frozen=True, kw_only=True):
    """Which transitions of incidents; all that is given must match.

    Args:
        kind: One kind, or several.
        at_least: The least severity.
        at_most: The highest severity.
        transition: One transition, or several.
    """

    kind: IncidentKind | tuple[IncidentKind, ...] | UnsetType = UNSET
    at_least: Severity | UnsetType = UNSET
    at_most: Severity | UnsetType = UNSET
    transition: Transition | tuple[Transition, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        low, high = self.at_least or SEVERITIES[0], self.at_most or SEVERITIES[-1]
        if SEVERITIES.index(low) > SEVERITIES.index(high):
            raise ValueError(f"at_least {low} and at_most {high} leave no severity")


class ThresholdSettings(_Part, frozen=True, kw_only=True):
    """Scores from which a reading alarms, in the unit of the detector's score."""

    event: Threshold | UnsetType = UNSET
    condition: Threshold | UnsetType = UNSET


class SilenceSettings(_Part, frozen=True, kw_only=True):
    """Of `Silence`."""

    factor: Annotated[float, Meta(ge=1)] | UnsetType = UNSET
    minimum: Seconds | UnsetType = UNSET
    grace: Seconds | UnsetType = UNSET


class FlappingSettings(_Part, frozen=True, kw_only=True):
    """Of `Flapping`."""

    times: Annotated[int, Meta(ge=2)] | UnsetType = UNSET
    within: Seconds | UnsetType = UNSET


class RuleSettings(_Part, frozen=True, kw_only=True):
    """What can be said of a device; what is not said is left to less specific rules."""

    off: tuple[Kind, ...] = ()
    on: tuple[Kind, ...] = ()
    thresholds: ThresholdSettings = ThresholdSettings()
    silence: SilenceSettings = SilenceSettings()
    quiet: Seconds | UnsetType = UNSET
    reminders: tuple[Seconds, ...] | UnsetType = UNSET
    flapping: FlappingSettings = FlappingSettings()

    def __post_init__(self) -> None:
        if both := sorted({*self.off} & {*self.on}):
            raise ValueError(f"{both[0]} is both on and off")
        if self.quiet == 0:
            raise ValueError("quiet must be longer than 0: an incident would end as it begins")
        if self.flapping.within == 0:
            raise ValueError("flapping.within must be longer than 0")
        if self.reminders and list(self.reminders) != sorted({0.0, *self.reminders})[1:]:
            raise ValueError("reminders must grow, such as [1h, 4h, 1d]")


class RuleEntry(RuleSettings, frozen=True, kw_only=True):
    """Settings for some devices."""

    match: DeviceMatch
    name: Name | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.match == DeviceMatch():
            raise ValueError("match names no device, model or site: write it under defaults")


class StormEntry(_Part, frozen=True, kw_only=True):
    """What makes a storm of some sites; without `match` of all."""

    match: SiteMatch | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    devices: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    share: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    within: Seconds | UnsetType = UNSET


class MuteEntry(_Part, frozen=True, kw_only=True):
    """A mute window: which incidents, and when."""

    name: Name
    match: IncidentMatch = IncidentMatch()
    zone: ZoneInfo | UnsetType = UNSET
    days: Days | UnsetType = UNSET
    start_time: TimeOfDay | UnsetType = field(default=UNSET, name="from")
    end_time: TimeOfDay | UnsetType = field(default=UNSET, name="to")
    rrule: Name | UnsetType = UNSET
    duration: Seconds | UnsetType = UNSET
    start: Name | UnsetType = UNSET
    end: Name | UnsetType = UNSET

    def __post_init__(self) -> None:
        self.window()

    def window(self) -> Window:
        """When it is open.

        Raises:
            ValueError: What is given does not go together.
        """
        zone = self.zone or None
        start = moment_of(self.start, zone) if self.start else None
        end = moment_of(self.end, zone) if self.end else None
        if start and end and end <= start:
            raise ValueError(f"end {self.end} is not after start {self.start}")
        weekly = not (self.days is self.start_time is self.end_time is UNSET)
        if weekly and self.rrule:
            raise ValueError("rrule or days with from and to, not both")
        if (self.duration is UNSET) == (self.rrule is not UNSET) or self.duration == 0:
            raise ValueError("rrule and duration go together, such as duration: 2h")
        if (weekly or self.rrule) and zone is None:
            raise ValueError("by which clock? Say zone: Europe/Zurich")
        if zone and self.rrule:
            if start is None:
                raise ValueError("rrule counts from start: say start: 2026-01-05T08:00")
            first = start.astimezone(zone).replace(tzinfo=None)
            return Window(end=end, calendar=Recurring(zone, self.rrule, first, self.duration or 0))
        if zone and weekly:
            return Window(start, end, self._weekly(zone))
        if start is None and end is None:
            raise ValueError("when? Say days, from and to; or start and end; or rrule and duration")
        return Window(start, end)

    def _weekly(self, zone: ZoneInfo) -> Weekly:
        if (self.start_time is UNSET) != (self.end_time is UNSET):
            raise ValueError("from and to go together; leave both away for whole days")
        days = self.days or frozenset(range(7))
        if self.start_time is UNSET or self.end_time is UNSET:
            return Weekly(zone, days)
        if self.start_time == self.end_time or self.start_time == 86400:
            raise ValueError("from and to hold no time; leave both away for whole days")
        return Weekly(zone, days, self.start_time, self.end_time)


class RouteEntry(_Part, frozen=True, kw_only=True):
    """Where the incidents that match go, besides to where other routes send them.

    Args:
        stop: Routes after it are not asked about what it matches.
    """

    channels: tuple[Name, ...]
    match: IncidentMatch = IncidentMatch()
    name: Name | UnsetType = UNSET
    stop: bool = False

    def __post_init__(self) -> None:
        if not self.channels and not self.stop:
            raise ValueError("a route to no channel does nothing without stop: true")


class PolicyFile(_Part, frozen=True, kw_only=True):
    """The whole file."""

    defaults: RuleSettings = RuleSettings()
    rules: tuple[RuleEntry, ...] = ()
    storms: tuple[StormEntry, ...] = ()
    mute: tuple[MuteEntry, ...] = ()
    channels: dict[str, dict[str, Any]] = {}
    routes: tuple[RouteEntry, ...] = ()
    messages: MessageSettings = MessageSettings()


class Written(msgspec.Struct, frozen=True):
    """A policy file that was found right.

    Args:
        file: What it says; of the channels see `channels`.
        channels: Channels by name.
        document: For the lines of its parts.
    """

    file: PolicyFile
    channels: Mapping[str, AlertChannel]
    document: Document

    def line(self, *path: str | int) -> int:
        """The line of a part, such as ("rules", 0)."""
        return self.document.line(path)


def read_policy_file(path: str, content: bytes) -> Written:
    r"""Read a policy file.

    Args:
        path: Its name, for the words.
        content: Its bytes, YAML.

    Raises:
        ValueError: The first thing that is wrong, with its line, and what to do. It never quotes
            what stands where a secret's reference belongs.

    Example:
        >>> read_policy_file("p.yaml", b"rules:\n- match: {site: cold-*}\n  quite: 10m\n")
        Traceback (most recent call last):
        ValueError: p.yaml, line 3, rules[0].quite: no such key 'quite'; did you mean 'quiet'? There
        are: flapping, match, name, off, on, quiet, reminders, silence, thresholds
    """
    try:
        document = read_yaml(content)
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from None
    if document.value is None:
        raise ValueError(f"{path}: the file is empty")
    try:
        file = convert(document.value, PolicyFile, (), _spelled)
        channels = {name: read_channel(name, written) for name, written in file.channels.items()}
        _check_messages(file.messages)
        _check_names(file)
    except Misread as error:
        where = _spell(error.path)
        line = document.line(error.path)
        raise ValueError(f"{path}, line {line}{where and f', {where}'}: {error}") from None
    return Written(file, channels, document)


def _spelled(kind: type[Any], written: Any) -> Any:
    """How the values that YAML does not know are spelled."""
    if kind is ZoneInfo:
        return zone_of(written)
    if kind in (Seconds, Days, TimeOfDay):
        return kind.of(written)
    raise NotImplementedError(kind)


def _spell(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).lstrip(".")


def _check_messages(messages: MessageSettings) -> None:
    try:
        zone_of(messages.time_zone)
    except ValueError as error:
        raise Misread(str(error), ("messages", "time_zone")) from None


def _check_names(file: PolicyFile) -> None:
    for index, route in enumerate(file.routes):
        for place, channel in enumerate(route.channels):
            if channel not in file.channels:
                raise Misread.unknown(
                    "channel", channel, file.channels, ("routes", index, "channels", place)
                )
    for part, entries in (("rules", file.rules), ("mute", file.mute), ("routes", file.routes)):
        first: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if entry.name and first.setdefault(entry.name, index) != index:
                raise Misread(f"the name {entry.name!r} is there twice", (part, index, "name"))
