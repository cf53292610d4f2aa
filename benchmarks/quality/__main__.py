"""The command: run every task in processes of its own, show progress, compare, write."""

import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.quality.contenders import CONTENDERS, Unavailable
from benchmarks.quality.evaluation import FIRST, SETS, Measured, Task, measure
from benchmarks.quality.goals import GOALS
from benchmarks.quality.picture import draw_examples
from benchmarks.quality.regression import regressions
from benchmarks.quality.report import Run, Shape, markdown, number
from benchmarks.quality.sets import LEFT_OUT, Missing
from benchmarks.quality.summary import Results, from_json, summarise, to_json

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "quality.md"
EVIDENCE = ROOT / "docs" / "evidence" / "quality.json"
PICTURES = ROOT / "build" / "quality"
"""Not kept: they show the data."""
MOST_SEEDS = max(len(contender.seeds) for contender in CONTENDERS.values())
SLOW = ("river_loda", "river_gaussian")
"""Started first, largest sets first, so that no process is left alone with them at the end."""


def commit() -> str:
    """Return the commit measured, and whether the tree has changes on top of it."""
    git = ("git", "-C", str(ROOT))
    name = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", "detectors", "benchmarks/quality"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return f"{name or 'unknown'}{' with changes' if changed else ''}"


def shapes(names: list[str]) -> tuple[dict[str, Shape], dict[str, str]]:
    """Return how large each set is, and why others are not here."""
    found: dict[str, Shape] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            dataset = SETS[name]()
        except Missing as reason:
            skipped[name] = str(reason)
        else:
            found[name] = Shape(
                dataset.rows, len(dataset.devices), len(dataset.channels), dataset.judged
            )
    return found, skipped


def tasks(contenders: list[str], sizes: dict[str, Shape], seeds: int) -> list[Task]:
    """Return all tasks, the longest first."""
    every = [
        Task(name, dataset, seed)
        for name in contenders
        for dataset, shape in sizes.items()
        if name != "windowed_gaussian" or shape.judged == "windows"
        for seed in CONTENDERS[name].seeds[:seeds]
    ]
    return sorted(every, key=lambda one: (one.contender not in SLOW, -sizes[one.dataset].rows))


def run(
    planned: list[Task], processes: int, console: Console
) -> tuple[list[Measured], dict[str, str]]:
    """Run the tasks; what a contender cannot do is told and left out, other errors end the run."""
    measured: list[Measured] = []
    skipped: dict[str, str] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, console=console) as progress,
        ProcessPoolExecutor(processes, mp_context=context) as pool,
    ):
        bars = {
            name: progress.add_task(name, total=sum(one.contender == name for one in planned))
            for name in dict.fromkeys(one.contender for one in planned)
        }
        futures: dict[Future[Measured], Task] = {pool.submit(measure, one): one for one in planned}
        try:
            for future in as_completed(futures):
                task = futures[future]
                try:
                    measured.append(future.result())
                except Unavailable as reason:
                    skipped[task.contender] = str(reason)
                progress.advance(bars[task.contender])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return measured, skipped


def show(results: Results, console: Console) -> None:
    """Print the goals beside what was reached."""
    names = [name for name in results if name != "windowed_gaussian"]
    shown = Table("", "gate", "stretch", *names, expand=False)
    shown.columns[0].no_wrap = True
    for goal in GOALS:
        cells: list[str] = []
        for name in names:
            value = goal.value(results, name)
            colour = "green" if goal.reached(value) else "red"
            cells.append(f"[{colour if goal.gate == goal.gate else 'default'}]{number(value)}[/]")
        shown.add_row(goal.what, number(goal.gate), number(goal.stretch), *cells)
    console.print(shown)


def stored() -> dict[str, Any]:
    """Return what the last complete run left, empty where there was none."""
    return json.loads(EVIDENCE.read_text()) if EVIDENCE.exists() else {}


def write(
    results: Results, before: dict[str, Any], sizes: dict[str, Shape], console: Console
) -> None:
    """Write page and evidence; detectors that did not run stay as they were measured before."""
    now = commit()
    both = from_json(before.get("results", {})) | results
    commits = before.get("commits", {}) | dict.fromkeys(results, now)
    names = [name for name in CONTENDERS if name in both]
    everything = {name: both[name] for name in names}
    about = Run(
        commits={name: commits[name] for name in names},
        versions={"River": version("river")},
        seeds={name: CONTENDERS[name].seeds for name in names},
        shapes=sizes,
        skipped={},
    )
    evidence = {
        "commits": about.commits,
        "versions": about.versions,
        "seeds": about.seeds,
        "rows_not_judged": FIRST,
        "sets": {name: shape._asdict() for name, shape in sizes.items()},
        "results": to_json(everything),
    }
    PAGE.write_text(markdown(everything, about))
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n")
    console.print(f"written: {PAGE.relative_to(ROOT)}, {EVIDENCE.relative_to(ROOT)}")


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="Sets to run, by the start of their name.")
    ] = None,
    contender: Annotated[list[str] | None, typer.Option(help="Detectors to run.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each, at most.")] = MOST_SEEDS,
    processes: Annotated[int, typer.Option(min=1)] = 2,
    accept: Annotated[
        bool, typer.Option(help="Write the results although something became worse.")
    ] = False,
) -> None:
    """Judge the detectors on every set, compare with the last time, and write docs/quality.md.

    Ends with 1 where a measure of our detectors is worse than the last time by more than noise;
    nothing is written then, nor by a run of some sets or seeds only. A run of some detectors keeps
    the others as they were last measured: River's do not change with ours, and LODA takes longest.
    """
    console = Console()
    names = [name for name in SETS if not only or name.startswith(tuple(only))]
    chosen = [name for name in CONTENDERS if not contender or name in contender]
    sizes, missing = shapes(names)
    for what, why in {**LEFT_OUT, **missing}.items():
        console.print(f"not judged: {what}: {why}")
    measured, unavailable = run(tasks(chosen, sizes, seeds), processes, console)
    for what, why in unavailable.items():
        console.print(f"not judged: {what}: {why}")
    found = summarise(measured)
    results = {name: found[name] for name in chosen if name in found}
    show(results, console)

    before = stored()
    watched = [name for name in results if CONTENDERS[name].gates]
    worse = regressions(from_json(before.get("results", {})), results, watched)
    for one in worse:
        console.print(f"[red]worse[/] {one}")
    whole = names == list(SETS) and not missing and not unavailable and seeds >= MOST_SEEDS
    if whole and (accept or not worse):
        write(results, before, sizes, console)
    else:
        console.print("nothing written: not all sets and seeds, or something is worse")
    for picture in draw_examples(PICTURES):
        console.print(f"drawn: {picture.relative_to(ROOT)}")
    if worse and not accept:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
