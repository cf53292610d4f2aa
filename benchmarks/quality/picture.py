"""Pictures for the report: the default detector on some devices of the labelled sets.

`python -m benchmarks.quality.picture FOLDER` writes those of `EXAMPLES`; with `--dataset NAME` and
`--device NUMBER` any other one.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from benchmarks.quality.contenders import SEEDS
from benchmarks.quality.evaluation import SETS
from benchmarks.quality.sets import DataSet, Missing
from eddyline.detectors.density import Density
from eddyline.detectors.density.season import NO_TIME
from eddyline.pipeline.explain.course import Course, Trouble, run_again
from eddyline.pipeline.explain.picture import draw

EXAMPLES = (("injected/asnx/bias_1.5sd", 0), ("intel/malfunction", 0), ("env_telemetry/healthy", 0))
"""Sets and devices that the report shows: faults put in, faults recorded, and a healthy device."""
SECOND = 1_000_000


def labelled_course(dataset: DataSet, number: int, seed: int = SEEDS[0]) -> Course:
    """One device of a set as the default detector sees it, with its labels in place of incidents.

    Readings without an event time are drawn as if one came each second; the detector is told that
    they have none.

    Raises:
        IndexError: The set has not so many devices.
    """
    device = dataset.devices[number]
    detector = Density(dataset.channels, seed=seed)
    course = run_again(f"{dataset.name}, {device.name}", detector, device.event_time, device.values)
    time = device.event_time
    notes = ["labels of the set in place of incidents"]
    if (time == NO_TIME).all():
        time = SECOND * np.arange(len(time), dtype=np.int64)
        notes.append("the set has no times: one reading each second is drawn")
    found = [
        Trouble("labelled", "warning", int(time[first]), int(time[last]), "")
        for first, last in (device.windows or _runs(device.label))
    ]
    return replace(course, time=time, troubles=tuple(found), told="labels", notes=tuple(notes))


def _runs(label: np.ndarray) -> list[tuple[int, int]]:
    """First and last row of each run of labelled rows.

    Examples:
        >>> _runs(np.array([True, False, True, True]))
        [(0, 0), (2, 3)]
    """
    edges = np.diff(label.astype(np.int8), prepend=0, append=0)
    return list(
        zip(
            np.flatnonzero(edges == 1).tolist(),
            (np.flatnonzero(edges == -1) - 1).tolist(),
            strict=True,
        )
    )


def draw_examples(folder: Path, examples: tuple[tuple[str, int], ...] = EXAMPLES) -> list[Path]:
    """Write the report's pictures as SVG; sets that are not here are left out.

    Raises:
        ValueError: What draws is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, number in examples:
        try:
            course = labelled_course(SETS[name](), number)
        except Missing:
            continue
        to = folder / f"{name.replace('/', '-')}-{number}.svg"
        draw(course, to)
        written.append(to)
    return written


def main(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")],
    dataset: Annotated[str, typer.Option(help="A set, such as intel/bias.")] = "",
    device: Annotated[int, typer.Option(min=0, help="Which of its devices.")] = 0,
) -> None:
    """Draw devices of the labelled sets."""
    console = Console()
    if dataset and dataset not in SETS:
        raise typer.BadParameter(f"no such set; there are: {', '.join(SETS)}")
    examples = ((dataset, device),) if dataset else EXAMPLES
    for written in draw_examples(folder, examples):
        console.print(str(written), highlight=False)


if __name__ == "__main__":
    typer.run(main)
