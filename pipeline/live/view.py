"""The view of a live run: a terminal's, and plain lines where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from eddyline.pipeline.live.lake import LakeNow

_COLOURS = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan"}


@dataclass(frozen=True)
class Now:
    """What there is to see at one moment.

    Args:
        title: What is run on what.
        phase: What is going on: starting, running, draining.
        seconds: Since the start.
        devices: Of the simulated fleet.
        published: Messages published.
        publish_rate: Of the last seconds, a second.
        behind: Seconds by which the publisher is late.
        lag: Seconds by which the source's reader is behind; None where nobody said.
        reading_rate: Readings a second that were scored, of the last seconds.
        counts: The job's counters.
        lake: What the lake has.
    """

    title: str
    phase: str
    seconds: float
    devices: int
    published: int
    publish_rate: float
    behind: float
    lag: float | None
    reading_rate: float
    counts: Mapping[str, int]
    lake: LakeNow

    def count(self, name: str) -> int:
        """A counter, 0 where it was never counted."""
        return self.counts.get(name, 0)

    def named(self, prefix: str) -> dict[str, int]:
        """The counters whose names begin so, without that beginning, the largest first."""
        found = {
            name.removeprefix(prefix): number
            for name, number in self.counts.items()
            if name.startswith(prefix)
        }
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def as_lines(now: Now) -> str:
    """One line, for a log."""
    return (
        f"{_clock(now.seconds)} {now.phase}: {now.published:,} published, "
        f"{now.count('messages'):,} read, {now.count('readings'):,} readings "
        f"({now.reading_rate:,.0f}/s), lag {_lag(now)}, {now.lake.open} incidents open, "
        f"{now.count('dead_letters'):,} dead letters, {now.lake.commits:,} commits"
    )


def as_screen(now: Now) -> RenderableType:
    """The whole screen."""
    return Panel(
        Group(_numbers(now), Text(), _dead_letters(now), Text(), _incidents(now)),
        title=f"[bold]eddyline live[/] · {escape(now.title)}",
        title_align="left",
        subtitle="Ctrl-C: drain and stop · twice: stop at once",
        subtitle_align="right",
        box=box.ROUNDED,
    )


def _numbers(now: Now) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    for _ in range(4):
        table.add_column(justify="right", ratio=2, style="bold")
        table.add_column(ratio=3, style="dim")
    late = f", {now.behind:.0f} s late" if now.behind > 1 else ""
    delivered = sum(number for name, number in now.named("alerts_").items() if name == "delivered")
    table.add_row(
        _clock(now.seconds),
        now.phase,
        f"{now.devices:,}",
        "devices",
        f"{now.published:,}",
        f"published, {now.publish_rate:,.0f}/s{late}",
        _lag(now),
        "source's lag",
    )
    table.add_row(
        f"{now.count('readings'):,}",
        f"readings, {now.reading_rate:,.0f}/s",
        f"{now.count('duplicates'):,}",
        "duplicates",
        f"{now.count('dead_letters'):,}",
        "dead letters",
        f"{now.count('late_readings'):,}",
        "late readings",
    )
    table.add_row(
        f"{now.lake.open}",
        "incidents open",
        f"{now.count('incidents_resolved'):,}",
        "resolved",
        f"{delivered:,}",
        "alerts sent",
        f"{now.lake.commits:,}",
        "lake commits",
    )
    return table


def _dead_letters(now: Now) -> Text:
    reasons = now.named("dead_letter_")
    if not reasons:
        return Text("No dead letters yet.", style="dim")
    told = " · ".join(f"{number:,} {name}" for name, number in list(reasons.items())[:6])
    return Text(f"Dead letters: {told}", style="dim", overflow="ellipsis", no_wrap=True)


def _incidents(now: Now) -> RenderableType:
    if not now.lake.last:
        words = "No incidents yet: the models learn what is usual first."
        return Text(words, style="dim")
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.add_column("opened", style="dim", no_wrap=True)
    table.add_column("device", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("last incidents, the newest first", ratio=1, overflow="ellipsis", no_wrap=True)
    for incident in now.lake.last:
        colour = _COLOURS.get(incident.severity, "")
        table.add_row(
            f"{incident.opened_at:%H:%M:%S}",
            escape(incident.device),
            f"[{colour}]{incident.kind}[/]" if colour else incident.kind,
            "open" if incident.open else "[dim]over[/]",
            escape(incident.explanation),
        )
    return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:d}:{minutes % 60:02d}:{rest:02d}"


def _lag(now: Now) -> str:
    return "-" if now.lag is None else f"{now.lag:.1f} s"
