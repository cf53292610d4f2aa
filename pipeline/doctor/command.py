"""`eddyline doctor`: the checks as a table or JSON, and an exit code."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.doctor.check import Check, worst
from eddyline.pipeline.doctor.examine import doctor
from eddyline.pipeline.options import beam_options, with_settings
from eddyline.pipeline.settings import settings_of

FAILED = 1
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Context settings to add the command with: what is not ours goes to Beam."""
_MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[bold red]failed[/]"}


@with_settings()
def doctor_command(
    context: typer.Context,
    given: dict[str, Any],
    settings: Annotated[str, typer.Option(help="YAML file of settings; options go first.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check what a run would need, before it starts: the same options as `run`.

    Source, schema, registry, policy, lake, warehouse, destinations, engine and clock. A missing
    permission is named as IAM names it. Nothing stays changed.

    Example: eddyline doctor --settings live.yaml --runner=FlinkRunner --flink_master=jobs:8081

    Exit codes: 0 all is well or only warned of, 1 a check failed, 2 used wrongly.
    """
    with refusing():
        chosen = settings_of(given, settings)
        options = beam_options(context.args, runner="FnApiRunner")
    checks = doctor(chosen, options)
    if as_json:
        sys.stdout.write(as_json_text(checks) + "\n")
    else:
        Console().print(as_table(checks))
    if worst(checks) == "failed":
        raise typer.Exit(FAILED)


def as_json_text(checks: Sequence[Check]) -> str:
    """The checks as one JSON object, `outcome` the worst of them."""
    told = {"outcome": worst(checks), "checks": [asdict(check) for check in checks]}
    return json.dumps(told, indent=2, ensure_ascii=False)


def as_table(checks: Sequence[Check]) -> Table:
    """The checks as a table."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("check", overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for check in checks:
        found = escape(check.found) + (f"\n[bold]{escape(check.remedy)}[/]" if check.remedy else "")
        table.add_row(escape(check.name), _MARKS[check.outcome], found)
    return table
