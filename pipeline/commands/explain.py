"""Explain: one device of a lake, its detector run over it again, as a picture."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import typer
from deltalake.exceptions import TableNotFoundError
from rich.console import Console

from eddyline.detectors.channel import Channel
from eddyline.detectors.protocol import Detector, Verdict
from eddyline.detectors.registry import make_detector
from eddyline.io.lake.read import open_table
from eddyline.pipeline.commands.moments import TIMES, utc
from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.explain.course import Course, Trouble, run_again
from eddyline.pipeline.explain.picture import draw
from eddyline.pipeline.settings import settings_of
from eddyline.schemas.record import load_contract
from eddyline.transforms.devices.channel_values import channel_values
from eddyline.transforms.fleet.fleet import END_OF_TIME

TOLD = 4
"""Incidents whose sentences stand below the title, the last ones."""
out = Console()


def course_of(
    lake: str,
    device: str,
    detector: Detector,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Course:
    """The course of a device: what the lake has of it, and what the detector says of that now.

    The lake keeps of a reading its verdict and its score. What was expected, and the parts of the
    score, come from running the detector over the device's readings again, from the lake's first
    one on, in the order in which the job scored them. Anomalies are those of the lake; where the
    detector judges otherwise now (it has other settings, or the lake does not begin where the model
    did), the notes say so. Late readings were never judged and are left out.

    Args:
        lake: Where.
        device: Its id.
        detector: To run.
        start: Event time, inclusive; None for the beginning.
        end: Exclusive; None for the end.

    Raises:
        ValueError: The lake has no such device, or none of its readings in that time.
        deltalake.exceptions.TableNotFoundError: There is no lake.
    """
    names = [channel.name for channel in detector.channels]
    readings = _readings(lake, device, names, end)
    late = int((readings.column("verdict").to_numpy(zero_copy_only=False) == "LATE").sum())
    readings = readings.filter(ds.field("verdict") != Verdict.LATE.name)
    batch = readings.combine_chunks().to_batches()[0] if readings.num_rows else None
    time = readings.column("event_time").cast(pa.int64()).to_numpy()
    first = 0 if start is None else int(np.searchsorted(time, _micros(start)))
    if batch is None or first == len(time):
        raise ValueError(f"no readings of {device!r} in that time")
    course = run_again(device, detector, time, channel_values(batch, names), first)
    anomaly = (readings.column("verdict").to_numpy(zero_copy_only=False) == "ANOMALY")[first:]
    notes: list[str] = []
    if differ := int((anomaly != course.anomaly).sum()):
        notes.append(f"{detector.name} run again judges {differ:,} readings otherwise than the job")
    if late:
        notes.append(f"{late:,} late readings are left out")
    last = int(time[-1])
    # A silence begins after the last reading.
    until = _micros(end) if end is not None else END_OF_TIME
    troubles, heard = incidents_of(lake, device, int(time[first]), until)
    notes += [
        f"{datetime.fromtimestamp(t.start / 1e6, UTC):%m-%d %H:%M} {t.kind}: {t.sentence}"
        for t in troubles[-TOLD:]
    ]
    return replace(
        course,
        anomaly=anomaly,
        notes=tuple(notes),
        troubles=tuple(troubles),
        until=max(last, min(heard, until)),
    )


def incidents_of(lake: str, device: str, start: int, end: int) -> tuple[list[Trouble], int]:
    """The device's incidents that were open in a time (µs), as they stand; none without a table.

    Returns:
        They, and the event time of their last transition.
    """
    try:
        table = open_table(lake, "incidents").to_pyarrow_dataset()
    except TableNotFoundError:
        return [], 0
    rows = table.to_table(filter=ds.field("device_id") == device).sort_by("revision").to_pylist()
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(row["incident_id"], []).append(row)
    found = [
        (trouble, _micros(transitions[-1]["event_time"]))
        for transitions in by_id.values()
        if (trouble := _trouble(transitions)).start < end
        and (trouble.end is None or trouble.end >= start)
    ]
    found.sort(key=lambda one: one[0].start)
    return [trouble for trouble, _ in found], max((heard for _, heard in found), default=0)


def _trouble(transitions: Sequence[dict[str, Any]]) -> Trouble:
    last = transitions[-1]
    over = [row for row in transitions if row["transition"] == "resolved"]
    return Trouble(
        last["kind"],
        last["severity"],
        _micros(last["opened_at"]),
        _micros(over[-1]["event_time"]) if over else None,
        transitions[0]["explanation"],
    )


def _readings(lake: str, device: str, names: Sequence[str], end: datetime | None) -> pa.Table:
    """The device's readings before `end`, in the order in which they were scored."""
    table = open_table(lake, "readings").to_pyarrow_dataset()
    if missing := sorted(set(names) - set(table.schema.names)):
        raise ValueError(f"--schema: the lake has no channel {', '.join(missing)}")
    wanted = ds.field("device_id") == device
    if end is not None:
        wanted &= ds.field("event_time") < pa.scalar(end, pa.timestamp("us", "UTC"))
    columns = ["event_time", "reading_id", "verdict", *names]
    readings = table.to_table(columns=columns, filter=wanted)
    if not readings.num_rows:
        raise ValueError(f"no readings of {device!r} in {lake}; `eddyline show devices` lists them")
    return readings.sort_by([("event_time", "ascending"), ("reading_id", "ascending")])


def _micros(time: datetime) -> int:
    return pa.scalar(time, pa.timestamp("us", "UTC")).value


def explain_command(
    device: Annotated[str, typer.Option(help="Id of the device.")],
    lake: Annotated[str, typer.Option(help="The lake.")] = "lake",
    start: Annotated[
        datetime | None, typer.Option("--from", help="From this time on (UTC).", formats=TIMES)
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", help="Before this time (UTC).", formats=TIMES)
    ] = None,
    to: Annotated[
        Path, typer.Option("--out", help="The picture: .html (zooms), .svg or .png.")
    ] = Path("explain.html"),
    schema: Annotated[
        str | None, typer.Option(help="Schema file with the channels, or a shipped one's name.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="The detector to run; best the one that the job ran.")
    ] = None,
    settings: Annotated[
        str, typer.Option(help="The job's settings file: schema, detector, detector_options.")
    ] = "",
) -> None:
    """Draw one device: readings, what was expected, scores, alarms and incidents."""
    with refusing():
        given = {"schema": schema, "detector": detector}
        chosen = settings_of({k: v for k, v in given.items() if v is not None}, settings)
        channels = [
            Channel(c.name, c.minimum, c.maximum, c.kind, c.unit)
            for c in load_contract(chosen.schema).channels
        ]
        model = make_detector(chosen.detector, channels, **chosen.detector_options)
        course = course_of(lake, device, model, utc(start), utc(end))
        draw(course, to)
    out.print(f"{to}: {len(course.time):,} readings, {course.anomaly.sum():,} under alarm")
