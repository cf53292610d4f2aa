"""The command `eddyline train`."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from eddyline.io.lake.storage import locate
from eddyline.pipeline.commands.moments import TIMES, utc
from eddyline.pipeline.train import Trained, Training, train


def train_command(
    lake: Annotated[str, typer.Option(help="The lake to learn from.")] = "lake",
    detector_out: Annotated[
        str, typer.Option(help="The model's file: a path, s3:// or gs://.")
    ] = "model.onnx",
    schema: Annotated[str, typer.Option(help="Schema file with the channels.")] = "room",
    start: Annotated[
        datetime | None, typer.Option("--from", help="From this time on (UTC).", formats=TIMES)
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", help="Before this time (UTC).", formats=TIMES)
    ] = None,
    devices: Annotated[str, typer.Option(help="Device id or glob.")] = "*",
    alarm_rate: Annotated[
        float, typer.Option(help="Share of readings that may be anomalies; makes the threshold.")
    ] = 0.001,
    sample: Annotated[int, typer.Option(help="Most readings to train on.")] = 200_000,
    trees: Annotated[int, typer.Option(help="Of each forest.")] = 50,
    window: Annotated[int, typer.Option(help="Readings that a device's mean is over.")] = 300,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 42,
) -> None:
    """Train the `pretrained` detector on a lake's readings: Isolation Forests in one ONNX file.

    Example: eddyline train --lake lake --from 2026-01-01 --detector-out model.onnx
    """
    training = Training(
        lake=lake,
        schema=schema,
        start=utc(start),
        end=utc(end),
        devices=devices,
        alarm_rate=alarm_rate,
        sample=sample,
        trees=trees,
        window=window,
        seed=seed,
    )
    err, out = Console(stderr=True), Console()
    columns = (
        TextColumn("readings"),
        BarColumn(),
        TextColumn("{task.completed:>11,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        task = bars.add_task("readings", total=None)
        trained = train(
            training, lambda rows, total: bars.update(task, completed=rows, total=total)
        )
    store(trained.content, detector_out)
    out.print(told(trained, detector_out), highlight=False, markup=False, soft_wrap=True)


def told(trained: Trained, path: str) -> str:
    """What was trained on what, what it will tell, and how to use it."""
    about = trained.about
    names = ", ".join(channel.name for channel in about.channels)
    lines = [
        f"Trained on {about.rows:,} of {trained.readings:,} readings of {about.devices:,} devices,",
        f"{about.start} to {about.end}, channels {names}.",
        f"Threshold {about.threshold:.2f} bits: {trained.alarms:.3%} of {about.held_out:,} later "
        f"readings, about {trained.alarms_a_day:.2g} anomalies a device and day.",
    ]
    if trained.alarms == 0.0:
        lines.append(
            f"That is less than asked for ({about.alarm_rate:.3%}): too few readings to tell it; "
            "train on a longer time."
        )
    return "\n".join(
        [
            *lines,
            "",
            f"The model is in {path} ({len(trained.content) / 1024:,.0f} KB). Use it by settings:",
            "",
            "  detector: pretrained",
            f"  detector_options: {{model: {path}}}",
            "",
            "in a file, and: eddyline run --settings FILE ...",
        ]
    )


def store(content: bytes, path: str) -> None:
    """Write a file whole or not at all.

    Raises:
        ValueError: The scheme of the path is unknown.
        OSError: It cannot be written.
    """
    if urlsplit(path).scheme in ("", "file"):
        place = Path(locate(path).root)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    else:
        location = locate(path)
        with location.filesystem.open_output_stream(location.root) as stream:
            stream.write(content)
