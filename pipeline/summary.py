"""The summary of a run for a person: what went in is what came out, by the job's counters."""

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from eddyline.io.lake.read import open_table
from eddyline.pipeline.evaluate import Evaluation, KindResult
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
    prefix = "dead_letter_"
    reasons = {
        name.removeprefix(prefix): number
        for name, number in counts.items()
        if name.startswith(prefix) and number
    }
    return Balance(
        messages=counts["messages"],
        items=counts["readings_decoded"] + counts["dead_letters"] + counts["filtered"],
        readings=counts["readings"],
        duplicates=counts["duplicates"],
        filtered=counts["filtered"],
        dead_letters=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        minutes=counts["minutes"],
        anomalies=counts["anomalies"],
        late=counts["late_readings"],
    )


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
    table.add_row(f"+ {refused:,}", f"dead letters{_reasons(balance.dead_letters)}")
    table.add_row("", "")
    table.add_row(f"{balance.minutes:,}", "device minutes")
    table.add_row(f"{balance.anomalies:,}", "anomalies")
    if balance.holds:
        return table
    return Group(table, Text("The balance does not hold: this is a bug.", style="bold red"))


def _reasons(reasons: dict[str, int]) -> str:
    return f": {', '.join(f'{n:,} {reason}' for reason, n in reasons.items())}" if reasons else ""


def evaluation_table(evaluation: Evaluation) -> RenderableType:
    """Planted faults found and missed, by kind, and the price in false alarms."""
    table = Table(title="Planted faults", title_justify="left", header_style="bold")
    table.add_column("kind")
    for name in ("planted", "found", "missed", "median delay", "by chance"):
        table.add_column(name, justify="right")
    for kind in evaluation.kinds:
        table.add_row(
            kind.kind,
            str(kind.planted),
            str(kind.found),
            str(kind.missed),
            _seconds(kind),
            f"{kind.chance:.0%}",
        )
    planted = sum(kind.planted for kind in evaluation.kinds)
    found = sum(kind.found for kind in evaluation.kinds)
    table.add_section()
    table.add_row("all", str(planted), str(found), str(planted - found), "", "")
    price = (
        f"False alarms: {evaluation.false_alarms} in {evaluation.healthy_days:.1f} device-days, "
        f"{evaluation.false_alarms_a_device_day:.2f} a device-day."
    )
    return Group(table, Text(price))


def _seconds(kind: KindResult) -> str:
    return "" if kind.median_delay is None else f"{kind.median_delay:.0f} s"


def anomalies_of(lake: str) -> pa.Table:
    """The lake's anomalies, as `evaluate` takes them."""
    columns = ["device_id", "event_time", "channels"]
    return open_table(lake, "anomalies").to_pyarrow_table(columns=columns)
