"""The command `eddyline compatible`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from eddyline.detectors.protocol import Detector, RecordRefused
from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.compatibility import (
    Difference,
    Graph,
    differences,
    mapping,
    read_graph,
    told_graph,
)
from eddyline.pipeline.graph import steps_of
from eddyline.pipeline.job import fleet_settings
from eddyline.pipeline.options import beam_options, with_settings
from eddyline.pipeline.run import prepare
from eddyline.pipeline.settings import Settings, settings_of
from eddyline.schemas.record import load_contract

FAILED = 1
# Any will do: nothing is asked of the engine. What a user gives goes first.
OFFLINE = {
    "runner": "DataflowRunner",
    "dry_run": True,
    "no_auth": True,
    "project": "offline",
    "region": "europe-west1",
    "temp_location": "gs://offline/temp",
    "staging_location": "gs://offline/staging",
}
out = Console()


def graph_for(given: dict[str, Any], flags: list[str], file: str = "") -> Graph:
    """The graph of the job of these settings, translated offline.

    Raises:
        ValueError: A setting or flag is wrong.
    """
    settings = settings_of(given, file)
    prepared = prepare(settings, beam_options(flags, **OFFLINE))
    detector = _detector(settings)
    model = detector.encode(detector.new(1), 0).hex()
    return Graph(steps_of(prepared.pipeline), settings.shards, model)


def learned_anew(model: str, settings: Settings) -> list[Difference]:
    """Whether the running job's models can be read under these settings; see `Graph.model`."""
    detector = _detector(settings)
    try:
        detector.decode(bytes.fromhex(model), detector.new(1), 0)
    except RecordRefused as error:
        return [Difference("breaks", f"each device's model is learned anew ({error})")]
    return []


def _detector(settings: Settings) -> Detector:
    return fleet_settings(load_contract(settings.schema), settings).detector


@with_settings()
def compatible_command(
    context: typer.Context,
    given: dict[str, Any],
    settings: Annotated[str, typer.Option(help="YAML file of settings; options go first.")] = "",
    with_: Annotated[
        str, typer.Option("--with", help="Graph of the running job, by --write of its release.")
    ] = "",
    write: Annotated[str, typer.Option(help="Write this release's graph into a file.")] = "",
) -> None:
    """Say what an update of a running job would break, before `--update` does.

    Example: eddyline compatible --with running.json --settings job.yaml

    Exit code 0: nothing, or only what is new; 1: something breaks or needs a mapping.
    """
    with refusing():
        new = graph_for(given, context.args, settings)
        if write:
            Path(write).write_text(told_graph(new), encoding="utf-8")
        if not with_:
            out.print(f"{len(new.steps)} steps. Name the running job's graph with --with.")
            return
        old = read_graph(Path(with_).read_text(encoding="utf-8"), with_)
        found = differences(old, new)
        if old.model:
            found += learned_anew(old.model, settings_of(given, settings))
    for one in found:
        colour = {"breaks": "bold red", "map": "yellow", "adds": "green"}[one.kind]
        out.print(f"[{colour}]{one.kind:>6}[/]  {escape(one.words)}", highlight=False)
    if names := mapping(found, old, new):
        told = ",".join(f'"{old}":"{new}"' for old, new in names.items())
        out.print(f"\n--transform_name_mapping='{{{told}}}'", highlight=False, soft_wrap=True)
    if any(one.kind != "adds" for one in found):
        raise typer.Exit(FAILED)
    out.print("An update can go on from the running job's state.")
