"""The command line."""

import logging
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from eddyline.io.lake.compact import compact
from eddyline.io.lake.read import open_table
from eddyline.io.simulate import Simulation
from eddyline.pipeline.commands import notify, policy, show, state
from eddyline.pipeline.commands.compatible import compatible_command
from eddyline.pipeline.commands.explain import explain_command
from eddyline.pipeline.commands.feedback import feedback_command
from eddyline.pipeline.commands.live import live_command
from eddyline.pipeline.commands.moments import TIMES, utc
from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.commands.show import View
from eddyline.pipeline.commands.simulate import simulate_command
from eddyline.pipeline.commands.train import train_command
from eddyline.pipeline.demo import demo
from eddyline.pipeline.doctor.command import doctor_command
from eddyline.pipeline.flink_options import cluster_address
from eddyline.pipeline.logs import set_up_logs
from eddyline.pipeline.options import beam_options, with_settings
from eddyline.pipeline.progress import left_on_cluster, on_cluster, progress
from eddyline.pipeline.replay import replay_of
from eddyline.pipeline.run import Ended, Prepared, prepare
from eddyline.pipeline.settings import settings_of
from eddyline.pipeline.summary import balance_of, evaluation_table, told
from eddyline.schemas.dialects import DIALECTS
from eddyline.schemas.record import RecordName, load_contract
from eddyline.transforms.counts import TALLY

FAILED, STOPPED = 1, 130
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    help="Device telemetry in; a queryable lake, minutes and anomalies out.",
    epilog="Exit codes: 0 done, 1 the job failed, 2 used wrongly, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

LogLevel = Annotated[str, typer.Option(help="Least level of log lines that are shown.")]
Lake = Annotated[str, typer.Option(help="The lake.")]
From = Annotated[
    datetime | None, typer.Option("--from", help="From this time on (UTC).", formats=TIMES)
]
To = Annotated[datetime | None, typer.Option("--to", help="Before this time (UTC).", formats=TIMES)]


def finish(prepared: Prepared, total: int | None = None) -> Ended:
    """Run a prepared job with its progress; a failed one is told in its own words."""
    interrupted = Event()
    cluster = cluster_address(prepared.pipeline.options)
    shown = on_cluster(cluster) if cluster else progress(TALLY.read, total)
    try:
        with remembering(interrupted), shown:
            ended = prepared.run()
    except (Exception, KeyboardInterrupt) as error:  # of whatever class the runner makes of it
        if interrupted.is_set():
            stopped = "Stopped. What was committed to the lake stays; nothing half-written shows."
            err.print(left_on_cluster(cluster) if cluster else stopped, highlight=False)
            raise typer.Exit(STOPPED) from None
        logging.getLogger("eddyline").debug("the job failed", exc_info=True)
        last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        err.print(f"[bold red]The job failed:[/] {escape(last[0])}", highlight=False)
        err.print("Run it with --log-level=DEBUG for the whole story. The lake keeps its commits.")
        raise typer.Exit(FAILED) from error
    if not ended.succeeded:
        err.print(f"[bold red]The job ended as {ended.state}.[/]")
        raise typer.Exit(FAILED)
    return ended


@contextmanager
def remembering(interrupted: Event) -> Generator[None]:
    """Remember a Ctrl-C: an interrupted step reaches us as an error like any other."""

    def interrupt(*_: object) -> None:
        interrupted.set()
        logging.disable()  # the runner would tell each step that it was interrupted in
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@app.command("run", context_settings=PASS_ON)
@with_settings()
def run_command(
    context: typer.Context,
    given: dict[str, Any],
    settings: Annotated[str, typer.Option(help="YAML file of settings; options go first.")] = "",
    log_level: LogLevel = "WARNING",
) -> None:
    """Run the job on files or a stream. Options that are not listed here go to Beam.

    Example: eddyline run --source 'in/*.jsonl.gz' --schema my.avsc --lake lake

    The runner is FnApiRunner (this process, until the files end) unless --runner names another.
    """
    set_up_logs(level=log_level)
    with refusing():
        chosen = settings_of(given, settings)
        if not chosen.source:
            raise ValueError("--source: files to read, such as --source 'in/*.jsonl'")
        prepared = prepare(chosen, beam_options(context.args, runner="FnApiRunner"))
    _report(finish(prepared), chosen.lake)


@app.command("replay", context_settings=PASS_ON)
@with_settings()
def replay_command(
    context: typer.Context,
    given: dict[str, Any],
    into: Annotated[str, typer.Option(help="The lake to write.")] = "",
    start: From = None,
    end: To = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Only what was refused, such as by a schema.")
    ] = False,
    settings: Annotated[str, typer.Option(help="YAML file of settings; options go first.")] = "",
    log_level: LogLevel = "WARNING",
) -> None:
    """Send a lake's messages through the job again. --from and --to are times of arrival.

    With the settings of the first run the rows are the same; with others you see their effect.
    Nobody is alerted again, unless --notify.

    Example: eddyline replay --lake lake --into lake-2 --detector moving_average
    """
    set_up_logs(level=log_level)
    with refusing():
        chosen = settings_of({"notify": False, **given}, settings)
        if not into and not dead_letters:
            raise ValueError("--into: the lake to write; the first one would have each row twice")
        read = replay_of(chosen.lake, utc(start), utc(end), dead_letters=dead_letters)
        if dead_letters and (not into or into == chosen.lake):
            chosen = replace(chosen, raw=False)  # the raw zone has these messages already
        target = replace(chosen, lake=into or chosen.lake)
        open_table(chosen.lake, "dead_letters")
        prepared = prepare(target, beam_options(context.args, runner="FnApiRunner"), read)
    _report(finish(prepared), target.lake)


def _report(ended: Ended, lake: str) -> None:
    out.print(told(balance_of(ended), ended.seconds))
    out.print(f"\nThe lake is in [bold]{escape(lake)}[/]. Look further:", highlight=False)
    out.print(f"  eddyline show devices --lake {escape(lake)}", highlight=False)
    out.print(f"  eddyline show incidents --lake {escape(lake)}", highlight=False)


@app.command("demo")
@with_settings("detector", "shards")
def demo_command(
    given: dict[str, Any],
    folder: Annotated[Path, typer.Option(help="Where messages, truth and lake go.")] = Path("demo"),
    devices: Annotated[int, typer.Option(help="Devices.")] = 60,
    hours: Annotated[float, typer.Option(help="Hours of event time.")] = 6.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    log_level: LogLevel = "WARNING",
) -> None:
    """Simulate a fleet with planted faults, run the real job on it and tell what it found."""
    set_up_logs(level=log_level)
    with refusing():
        simulation = Simulation(devices=devices, hours=hours, seed=seed, outages=1)
    result = demo(simulation, folder, given, finish, lambda words: err.print(words))
    out.print(told(balance_of(result.ended), result.ended.seconds))
    out.print()
    out.print(evaluation_table(result.evaluation))
    lake = escape(str(result.lake))
    out.print(f"\nThe lake is in [bold]{lake}[/], the truth beside it. Look further:")
    out.print(f"  .venv/bin/eddyline show incidents --lake {lake}", highlight=False)
    out.print(f"  .venv/bin/eddyline show minutes --lake {lake} --limit 5", highlight=False)


@app.command("show")
def show_command(
    view: Annotated[View, typer.Argument(help="What to show.")],
    lake: Lake = "lake",
    device: Annotated[str | None, typer.Option(help="Device id or glob.")] = None,
    site: Annotated[str | None, typer.Option(help="Site or glob.")] = None,
    start: From = None,
    end: To = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Show tables of a lake, the newest rows first. Of minutes the highest revision counts."""
    with refusing():
        if as_json and as_csv:
            raise ValueError("--json or --csv, not both")
        rows = show.query(lake, view, show.Wanted(device, site, utc(start), utc(end), limit))
    if as_json or as_csv:
        text = show.as_json(rows) if as_json else show.as_csv(rows)
        sys.stdout.write(text + "\n" if text else "")
    elif rows.num_rows:
        out.print(show.as_table(rows, view))
        if rows.num_rows == limit:
            err.print(f"The newest {limit}; --limit shows more, --json and --csv every column.")
    else:
        err.print(f"No {view} in {lake} that fit.")


@app.command("schema")
def schema_command(
    record: Annotated[RecordName, typer.Argument(help="Which record.")],
    dialect: Annotated[
        str, typer.Option(help=f"One of {', '.join(DIALECTS)}.", metavar="NAME")
    ] = "avro",
    schema: Annotated[str, typer.Option(help="Schema file with the channels.")] = "room",
) -> None:
    """Print a record's schema in any dialect, with the columns of your channels."""
    with refusing():
        if dialect not in DIALECTS:
            raise ValueError(f"--dialect: one of {', '.join(DIALECTS)}, not {dialect!r}")
        text = DIALECTS[dialect](load_contract(schema).record(record))
    sys.stdout.write(text + "\n")


@app.command("compact")
def compact_command(
    lake: Lake = "lake",
    retention_hours: Annotated[
        int, typer.Option(min=24, help="Unused files younger than this are kept.")
    ] = 168,
) -> None:
    """Join a lake's small files and remove unused ones older than the retention."""
    with refusing():
        tables = compact(lake, retention_hours)
    for table in tables:
        joined = f"{table.merged} files joined into {table.into}, {table.removed} removed"
        out.print(f"{table.table}: {joined}", highlight=False)


# The commands that live in files of their own, after those that one needs first.
app.command("live")(live_command)
app.command("simulate")(simulate_command)
app.command("explain")(explain_command)
app.command("feedback")(feedback_command)
app.add_typer(policy.app, name="policy")
app.add_typer(state.app, name="state")
app.add_typer(notify.app, name="notify")
app.command("train")(refusing()(train_command))
app.command("doctor", context_settings=PASS_ON)(doctor_command)
app.command("compatible", context_settings=PASS_ON)(compatible_command)
