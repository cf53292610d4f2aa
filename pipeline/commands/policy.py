"""`eddyline policy`: what a policy file says, what it says of a device, and why."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, cast, get_args

import typer
from apache_beam.io.filesystems import FileSystems
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eddyline.io.secret import Secrets, SecretUnavailable
from eddyline.pipeline.commands.refusing import MISUSED, refusing
from eddyline.schemas.duration import spell
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.alert_message import read_wording
from eddyline.transforms.devices.registry import Registry, read_registry
from eddyline.transforms.policy.channel_check import secret_references
from eddyline.transforms.policy.globs import Globs
from eddyline.transforms.policy.incident_filter import IncidentFilter
from eddyline.transforms.policy.policy import SWITCH, Effective, Entry, Policy, read_policy
from eddyline.transforms.policy.policy_file import IncidentKind
from eddyline.transforms.policy.severity import SEVERITIES

LOCAL = ("env", "file")
"""Kinds of secret that are looked for without asking a cloud."""
DURATIONS = ("quiet", "silence.minimum", "silence.grace", "flapping.within", "within")
COLUMNS = ("device_id", "model", "site")
KINDS: tuple[str, ...] = tuple(
    kind for part in get_args(IncidentKind) for kind in (get_args(part) or (part,))
)
TIMES = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"]

app = typer.Typer(
    help="What a policy file says: thresholds, mute windows, channels and routes.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

Devices = Annotated[str, typer.Option(help="Device registry, for the devices that there are.")]
Schema = Annotated[str, typer.Option(help="Schema file with the channels that are measured.")]


@app.command("check")
def check_command(
    file: Annotated[str, typer.Argument(help="Policy file (local, s3://, gs://).")],
    devices: Devices = "",
    schema: Schema = "room",
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Read every secret, and fail where one is missing.")
    ] = False,
) -> None:
    """Check a policy file and tell what is in it. Exit code 0: it is right, 2: it is not.

    Whether a secret is there is told, never what it is. Without --secrets the clouds are not asked,
    and a missing one is only a warning: it may be there where the job runs.
    """
    with refusing():
        policy = read_policy(file, _content(file))
        read_wording(policy.messages)
        registry = _registry(devices, schema) if devices else None
    missing = _tell_channels(policy, everywhere=secrets)
    _tell_parts(policy)
    for words in warnings(policy, registry):
        err.print(f"[yellow]warning:[/] {escape(words)}", highlight=False)
    if missing and secrets:
        err.print(f"[bold red]eddyline:[/] secrets are missing: {escape(', '.join(missing))}")
        raise typer.Exit(MISUSED)
    out.print(f"{escape(file)} is right.", highlight=False)


@app.command("explain")
def explain_command(
    device: Annotated[str, typer.Option(help="Device id.")],
    policy: Annotated[str, typer.Option(help="Policy file (local, s3://, gs://).")],
    devices: Devices = "",
    schema: Schema = "room",
    site: Annotated[str | None, typer.Option(help="Its site, else the registry's.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model, else the registry's.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"One of {', '.join(KINDS)}.")] = None,
    severity: Annotated[str | None, typer.Option(help=f"One of {', '.join(SEVERITIES)}.")] = None,
    at: Annotated[
        datetime | None, typer.Option(help="At this time (UTC); now.", formats=TIMES)
    ] = None,
) -> None:
    """Tell what holds for a device and which rule says so, and where its incidents would go.

    Example: eddyline policy explain --device cold-7-door --policy policy.yaml --devices devices.csv
    """
    with refusing():
        _one_of("--kind", kind, KINDS)
        _one_of("--severity", severity, SEVERITIES)
        read = read_policy(policy, _content(policy))
        place = _place(device, devices, schema)
    site, model = site or place["site"], model or place["model"]
    time = at or datetime.now(UTC)
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    row = {"device_id": device, "site": site, "model": model, "event_time": time}
    out.print(f"{device} at {site or 'no site'}, model {model or 'not known'}", markup=False)
    out.print(_settings_table(read, device, site, model))
    out.print(
        _routes_table(read, row, [kind] if kind else KINDS, [severity] if severity else SEVERITIES)
    )
    if kind and severity:
        for line in reasons(read, {**row, "kind": kind, "severity": severity}):
            out.print(line, markup=False, highlight=False)


def warnings(policy: Policy, registry: Registry | None) -> Iterator[str]:
    """What is allowed in a policy and may not be meant."""
    if not policy.route_list:
        yield "there are no routes: nobody is told of anything"
    used = {name for route in policy.route_list for name in route.channels}
    for name in sorted(set(policy.channels) - used):
        yield f"channel {name!r} is in no route"
    if registry is None:
        return
    places = registry.places.select(["site", "model"]).to_pylist()
    rows = [{**places[row], "device_id": device} for device, row in registry.row.items()]
    for entry in policy.rules[1:]:
        if not any(entry.rank([row[column] for column in COLUMNS]) for row in rows):
            yield f"rule {entry.origin}: no device of the registry matches"
    sites = {row["site"] for row in rows}
    for entry in policy.storms:
        if not any(entry.rank([site]) for site in sites):
            yield f"storm {entry.origin}: no site of the registry matches"
    for what, parts in (("mute window", policy.mutes), ("route", policy.route_list)):
        for part in parts:
            if not any(part.takes.names_match(row) for row in rows):
                yield f"{what} {part.origin}: no device of the registry matches"


def reasons(policy: Policy, row: Mapping[str, Any]) -> Iterator[str]:
    """Why an incident's opening goes where it goes, a line each."""
    opened = {**row, "transition": "opened"}
    if (window := policy.muted(opened)) is not None:
        yield f"muted by {window}: recorded, and told to nobody"
    routes = list(policy.taking(opened))
    for route in routes:
        to = ", ".join(route.channels) or "nobody"
        yield f"route {route.origin}: to {to}{', and no further' if route.stop else ''}"
    if not routes:
        yield "no route takes it: told to nobody"


def _settings_table(policy: Policy, device: str, site: str | None, model: str | None) -> Table:
    table = Table(title="What holds", title_justify="left")
    for name in ("setting", "value", "said by"):
        table.add_column(name)
    holding = policy.explain(device, site, model)
    for kind in ("event", "condition"):
        if not any(effective.setting == f"thresholds.{kind}" for effective in holding):
            table.add_row(f"thresholds.{kind}", "the detector's own", "")
    for effective in sorted(holding):
        table.add_row(*_cells(effective))
    for effective in policy.explain_storm(site):
        name, value, origin = _cells(effective)
        table.add_row(f"storm.{name}", value, origin)
    return table


def _cells(effective: Effective) -> tuple[str, str, str]:
    name, value = effective.setting, effective.value
    return name.removeprefix(SWITCH), _value(name, value), escape(str(effective.origin))


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if name == "reminders":
        return ", ".join(spell(seconds) for seconds in value) or "never"
    return spell(value) if name in DURATIONS else f"{value:g}"


def _routes_table(
    policy: Policy, row: Mapping[str, Any], kinds: Sequence[str], severities: Sequence[str]
) -> Table:
    at = row["event_time"].isoformat(timespec="minutes")
    table = Table(title=f"Where an incident that opens at {at} goes", title_justify="left")
    table.add_column("kind")
    for severity in severities:
        table.add_column(severity)
    for kind in kinds:
        of_kind = {**row, "kind": kind, "transition": "opened"}
        if kind == "storm":
            of_kind |= {"device_id": None, "model": None}
        elif kind in policy.rule(row["device_id"], row["site"], row["model"]).off:
            table.add_row(kind, *["off" for _ in severities])
            continue
        cells = (_destination(policy, {**of_kind, "severity": s}) for s in severities)
        table.add_row(kind, *map(escape, cells))
    return table


def _destination(policy: Policy, row: Mapping[str, Any]) -> str:
    if (window := policy.muted(row)) is not None:
        return f"muted: {window}"
    return ", ".join(policy.routes(row)) or "nobody"


def _tell_parts(policy: Policy) -> None:
    rules = Table(title="Rules, the more specific one wins", title_justify="left")
    for name in ("rule", "for", "says"):
        rules.add_column(name)
    for entry in policy.rules:
        rules.add_row(escape(str(entry.origin)), _match(entry, COLUMNS), _says(entry))
    for entry in policy.storms:
        rules.add_row(f"storm, {escape(str(entry.origin))}", _match(entry, ("site",)), _says(entry))
    out.print(rules)
    if policy.mutes:
        mutes = Table(title="Mute windows", title_justify="left")
        for name in ("window", "for", "open now"):
            mutes.add_column(name)
        now = datetime.now(UTC)
        for mute in policy.mutes:
            open_ = "yes" if mute.window.holds(now) else "no"
            mutes.add_row(escape(str(mute.origin)), _filter(mute.takes), open_)
        out.print(mutes)
    if policy.route_list:
        routes = Table(title="Routes, in their order", title_justify="left")
        for name in ("route", "for", "to"):
            routes.add_column(name)
        for route in policy.route_list:
            to = ", ".join(route.channels) or "nobody"
            stop = ", and no further" if route.stop else ""
            routes.add_row(escape(str(route.origin)), _filter(route.takes), escape(to + stop))
        out.print(routes)


def _tell_channels(policy: Policy, *, everywhere: bool) -> list[str]:
    """The channels; the references that lead to no secret."""
    table = Table(title="Channels", title_justify="left")
    for name in ("channel", "kind", "secrets"):
        table.add_column(name)
    secrets, missing = Secrets(), list[str]()
    for name, channel in policy.channels.items():
        told: list[str] = []
        for setting, reference in secret_references(channel).items():
            state = _state(secrets, reference, everywhere=everywhere)
            told.append(f"{setting}: {reference} {state}")
            if state == "is missing":
                missing.append(reference)
        kind = str(cast(Any, channel).__struct_config__.tag)
        table.add_row(escape(name), kind, escape("\n".join(told)))
    if policy.channels:
        out.print(table)
    return missing


def _state(secrets: Secrets, reference: str, *, everywhere: bool) -> str:
    if not everywhere and reference.partition(":")[0] not in LOCAL:
        return "was not looked for"
    try:
        secrets.read(reference)
    except SecretUnavailable:
        return "is missing"
    return "is there"


def _match(entry: Entry, columns: Sequence[str]) -> str:
    pairs = zip(columns, entry.match, strict=True)
    return _names({column: globs for column, globs in pairs if globs is not None})


def _filter(takes: IncidentFilter) -> str:
    words = [_names(takes.names)] if takes.names else []
    words += [f"{name} {' or '.join(sorted(values))}" for name, values in takes.sets.items()]
    if len(takes.severities) < len(SEVERITIES):
        words.append("/".join(s for s in SEVERITIES if s in takes.severities))
    return ", ".join(words) or "all"


def _names(names: Mapping[str, Globs]) -> str:
    words = (f"{c.removesuffix('_id')} {' or '.join(globs.texts)}" for c, globs in names.items())
    return escape(", ".join(words)) or "all"


def _says(entry: Entry) -> str:
    pairs = (
        f"{name.removeprefix(SWITCH)} {_value(name, value)}"
        for name, value in entry.settings.items()
    )
    return ", ".join(pairs) or "nothing"


def _place(device: str, devices: str, schema: str) -> Mapping[str, str | None]:
    place: dict[str, str | None] = {"site": None, "model": None}
    if devices:
        registry = _registry(devices, schema)
        row = registry.row.get(device)
        if row is not None:
            return registry.places.slice(row, 1).to_pylist()[0]
        err.print(f"[yellow]warning:[/] the registry has no device {escape(device)}")
    return place


def _registry(path: str, schema: str) -> Registry:
    channels = [channel.name for channel in load_contract(schema).channels]
    return read_registry(path, _content(path), channels)


def _content(path: str) -> bytes:
    with FileSystems.open(path) as file:
        return file.read()


def _one_of(option: str, given: str | None, known: Sequence[str]) -> None:
    if given is not None and given not in known:
        raise ValueError(f"{option}: one of {', '.join(known)}, not {given!r}")
