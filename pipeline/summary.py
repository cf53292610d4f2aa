"""The summary of a run for a person: what went in is what came out, by the job's counters."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eddyline.io.lake.read import open_table
from eddyline.pipeline.evaluate import APART, Evaluation, KindResult
from eddyline.pipeline.run import Ended


@dataclass(frozen=True)
class Balance:
    """What a run took in and where it is now.

    Args:
        messages: Messages read.
        items: Readings that they carried, valid or not; a message without one counts as one.
        readings: Unique readings of this run.
        duplicates: Readings that were dropped as repeated.
        filtered: Readings that a drop rule dropped.
        dead_letters: Dead letters of this run, by reason.
        minutes: Rows of minutes written.
        anomalies: Anomalies written.
        incidents: Transitions of incidents, by name: opened, updated, resolved, ...
        storms: Storms opened, and how many of the incidents are their members.
        alerts: Attempts to tell them, by outcome.
        late: Readings that came too late for their model.
    """

    messages: int
    items: int
    readings: int
    duplicates: int
    filtered: int
    dead_letters: dict[str, int]
    minutes: int
    anomalies: int
    incidents: dict[str, int]
    storms: tuple[int, int]
    alerts: dict[str, int]
    late: int

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        refused = sum(self.dead_letters.values())
        return self.items == self.readings + self.duplicates + self.filtered + refused


def balance_of(ended: Ended) -> Balance:
    """The balance by the job's counters.

    Example:
        >>> counts = {"messages": 3, "readings_decoded": 2, "dead_letters": 1, "readings": 1,
        ...           "duplicates": 1, "dead_letter_malformed": 1}
        >>> balance_of(Ended("DONE", counts, 1.0)).holds
        True
    """
    counts = Counter(ended.counts)
    return Balance(
        messages=counts["messages"],
        items=counts["readings_decoded"] + counts["dead_letters"] + counts["filtered"],
        readings=counts["readings"],
        duplicates=counts["duplicates"],
        filtered=counts["filtered"],
        dead_letters=_named(counts, "dead_letter_"),
        minutes=counts["minutes"],
        anomalies=counts["anomalies"],
        incidents=_named(counts, "incidents_"),
        storms=(counts["storms"], counts["storm_members"]),
        alerts=_named(counts, "alerts_"),
        late=counts["late_readings"],
    )


def _named(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    """The counters whose names begin so, without that beginning, the largest first."""
    named = {
        name.removeprefix(prefix): number
        for name, number in counts.items()
        if name.startswith(prefix) and number
    }
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))


def told(balance: Balance, seconds: float) -> RenderableType:
    """The balance for a person."""
    refused = sum(balance.dead_letters.values())
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    more = (
        "" if balance.items == balance.messages else f", which carried {balance.items:,} readings"
    )
    table.add_row(f"{balance.messages:,}", f"messages in {seconds:.1f} s{more}")
    sign = "=" if balance.holds else "≠"
    late = f" ({balance.late:,} of them late)" if balance.late else ""
    table.add_row(f"{sign} {balance.readings:,}", f"readings{late}")
    table.add_row(f"+ {balance.duplicates:,}", "duplicates")
    if balance.filtered:
        table.add_row(f"+ {balance.filtered:,}", "filtered by a drop rule")
    table.add_row(f"+ {refused:,}", f"dead letters{_list(balance.dead_letters)}")
    table.add_row("", "")
    table.add_row(f"{balance.minutes:,}", "device minutes")
    table.add_row(f"{balance.anomalies:,}", "anomalies")
    opened = balance.incidents.get("opened", 0)
    storms, members = balance.storms
    folded = f", {members:,} of them in {storms:,} storm{'s' * (storms > 1)}" if storms else ""
    resolved = f", {balance.incidents.get('resolved', 0):,} resolved" if opened else ""
    table.add_row(f"{opened:,}", f"incidents opened{folded}{resolved}")
    if balance.alerts:
        table.add_row(f"{sum(balance.alerts.values()):,}", f"alerts{_list(balance.alerts)}")
    if balance.holds:
        return table
    return Group(table, Text("The balance does not hold: this is a bug.", style="bold red"))


def _list(named: dict[str, int]) -> str:
    return f": {', '.join(f'{n:,} {name}' for name, n in named.items())}" if named else ""


def evaluation_table(evaluation: Evaluation) -> RenderableType:
    """Planted faults found and missed, by kind, and the price in false incidents."""
    table = Table(title="Planted faults", title_justify="left", header_style="bold")
    table.add_column("kind")
    for name in ("planted", "found", "missed", "repeats", "median delay", "by chance"):
        table.add_column(name, justify="right")
    for kind in evaluation.kinds:
        table.add_row(
            kind.kind,
            str(kind.planted),
            str(kind.found),
            str(kind.missed),
            str(kind.repeats),
            _seconds(kind),
            f"{kind.chance:.0%}",
        )
    planted, told_of = evaluation.outages
    if planted:
        table.add_section()
        table.add_row(
            "outage of a site", str(planted), str(told_of), str(planted - told_of), "", "", ""
        )
    false = sum(evaluation.false_incidents.values())
    price = (
        f"Found: {evaluation.recall:.0%} of the faults with a sharp edge "
        f"(all but {' and '.join(APART)}).\n"
        f"False incidents: {false}{_list(evaluation.false_incidents)} "
        f"in {evaluation.healthy_days:.1f} device-days, "
        f"{evaluation.false_incidents_a_device_day:.2f} a device-day."
    )
    return Group(table, Text(price))


def _seconds(kind: KindResult) -> str:
    return "" if kind.median_delay is None else f"{kind.median_delay:.0f} s"


def incidents_of(lake: str) -> pa.Table:
    """The lake's incidents, as `evaluate` takes them."""
    columns = ["transition", "kind", "device_id", "site", "opened_at", "channels"]
    return open_table(lake, "incidents").to_pyarrow_table(columns=columns)
