"""The demo: a simulated fleet with planted faults through the real job, and what it found."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eddyline.io.simulate import Simulation, Written, write
from eddyline.pipeline.evaluate import Evaluation, evaluate
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import Ended, Prepared, prepare
from eddyline.pipeline.settings import settings_of
from eddyline.pipeline.summary import incidents_of


@dataclass(frozen=True)
class Demo:
    """What a demo gave."""

    written: Written
    lake: Path
    ended: Ended
    evaluation: Evaluation


def demo(
    simulation: Simulation,
    folder: Path,
    given: dict[str, object],
    finish: Callable[[Prepared, int], Ended],
    tell: Callable[[str], None],
) -> Demo:
    """Simulate into `folder`, run the job on it, and hold its incidents against the truth.

    A folder of an earlier demo is replaced; of another folder nothing is touched but our names.

    Args:
        simulation: The fleet.
        folder: Where messages, registry, truth and lake go.
        given: Settings beside source, schema, devices and lake.
        finish: Runs a prepared job of so many messages to its end.
        tell: Says what is going on.
    """
    lake = folder / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    tell(
        f"Simulating {simulation.devices} devices at {simulation.sites} sites "
        f"for {simulation.hours:g} hours …"
    )
    written = write(simulation, folder)
    settings = settings_of(
        {
            **given,
            "source": str(written.messages),
            "schema": "room",
            "devices": str(written.devices),
            "lake": str(lake),
        }
    )
    tell(f"Running the job on {written.truth.messages:,} messages …")
    prepared = prepare(settings, beam_options([], runner="FnApiRunner"))
    ended = finish(prepared, written.truth.messages)
    return Demo(written, lake, ended, found(simulation, written, lake))


def found(simulation: Simulation, written: Written, lake: Path) -> Evaluation:
    """Planted faults found and missed; counted from the end of the warm-up."""
    truth = written.truth
    with written.devices.open(encoding="utf-8", newline="") as file:
        devices = {row["device_id"]: row["site"] for row in csv.DictReader(file)}
    return evaluate(
        truth.faults,
        incidents_of(str(lake)),
        devices,
        truth.start + round(simulation.warm_up * 3_600_000_000),
        truth.end,
        outages=truth.outages,
        cadence=round(simulation.cadence * 1_000_000),
    )
