"""`eddyline state`: take what the job knows of its devices to another job."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from deltalake.exceptions import TableNotFoundError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eddyline.pipeline.commands.moments import utc
from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.device_states import export_states
from eddyline.transforms.fleet.state_file import opened
from eddyline.transforms.policy.globs import Globs

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
SHOWN = ("device_id", "last_seen", "exported_at", "waiting", "open_incidents", "bytes")

app = typer.Typer(
    help="Take what the job knows of its devices to another job.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)


@app.command("export")
def export_command(
    lake: Annotated[str, typer.Option(help="The lake.")] = "lake",
    into: Annotated[
        str, typer.Option("--out", help="The file: a path, s3:// or gs://.")
    ] = "states.parquet",
    at: Annotated[
        datetime | None, typer.Option(help="As of the exports up to this time.", formats=TIMES)
    ] = None,
) -> None:
    """Write the newest state of each device into a file for `eddyline run --state FILE`.

    They come into the lake by a run with --export-state, or by {"action": "export", "event_time":
    TIME} on the source that --feedback names.

    Example: eddyline state export --lake lake --out states.parquet
    """
    with refusing():
        try:
            exported = export_states(lake, into, utc(at))
        except TableNotFoundError as error:
            raise ValueError(f"{lake}: no device states; run with --export-state") from error
    out.print(f"{exported.devices:,} devices in [bold]{escape(into)}[/]", highlight=False)
    for time, devices in exported.exports.items():
        out.print(f"  {devices:,} as of {time:%Y-%m-%d %H:%M:%S} UTC", highlight=False)
    if len(exported.exports) > 1:
        err.print("Not all of one export: has the newest one come into the lake whole?")


@app.command("show")
def show_command(
    file: Annotated[str, typer.Argument(help="A file of `eddyline state export`.")],
    device: Annotated[str, typer.Option(help="Device id or glob.")] = "*",
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show whose states a file holds."""
    rows: list[dict[str, Any]] = []
    with refusing():
        for row in _rows(file):
            if len(rows) < limit and Globs.of(device).match(row["device_id"]) is not None:
                rows.append(row)
    if as_json:
        sys.stdout.writelines(json.dumps(row, default=str) + "\n" for row in rows)
        return
    table = Table(*SHOWN)
    for row in rows:
        table.add_row(*(escape("" if row[name] is None else str(row[name])) for name in SHOWN))
    out.print(table)


def _rows(path: str) -> Iterator[dict[str, Any]]:
    with opened(path) as file:
        columns = [name for name in SHOWN if name != "bytes"]
        for batch in file.iter_batches(columns=[*columns, "state"]):
            sizes = [len(state) for state in batch.column("state").to_pylist()]
            told = batch.select(columns).to_pylist()
            yield from (row | {"bytes": size} for row, size in zip(told, sizes, strict=True))
