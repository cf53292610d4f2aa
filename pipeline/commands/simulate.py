"""`eddyline simulate`: a simulated fleet as files, or published to a stream as if it were live."""

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.console import Console

from eddyline.io.simulate import Simulation, write
from eddyline.io.simulate.publish import Published, live, publish
from eddyline.io.simulate.registry import write_registry
from eddyline.io.simulate.stream import simulate
from eddyline.io.simulate.targets.table import target_of
from eddyline.pipeline.commands.refusing import refusing

MOST = 5_000_000  # messages: 2 GB of memory
MADE_A_SECOND = 20_000  # messages
SAY_EVERY = 10.0  # s
out, err = Console(), Console(stderr=True)


def simulate_command(
    folder: Annotated[
        Path, typer.Argument(help="Where registry and truth go, and the messages without --to.")
    ],
    devices: Annotated[int, typer.Option(help="Devices.")] = 60,
    sites: Annotated[int, typer.Option(help="Sites.")] = 4,
    hours: Annotated[float, typer.Option(help="Hours of event time.")] = 6.0,
    cadence: Annotated[float, typer.Option(help="Seconds between a device's readings.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    faulty: Annotated[float, typer.Option(help="Share of devices with a planted fault.")] = 1 / 3,
    outages: Annotated[int, typer.Option(help="Sites that are cut off for a while.")] = 0,
    warm_up: Annotated[float, typer.Option(help="Hours before the first fault.")] = 1.0,
    to: Annotated[
        str,
        typer.Option(
            help="Publish, live: kinesis:STREAM, pubsub:TOPIC, sqs:QUEUE, or a folder in which "
            "files of JSON lines appear."
        ),
    ] = "",
    rate: Annotated[
        float, typer.Option(help="With --to: messages a second, in place of --cadence.")
    ] = 0.0,
) -> None:
    """Simulate a fleet: messages.jsonl, devices.csv, and the truth in truth.json.

    With --to the messages go to a stream or folder, each when its time comes, with event times from
    now on; registry and truth are written before the first one. Ctrl-C ends it.

    Example: eddyline simulate sim --to kinesis:telemetry --rate 300 --hours 2
    """
    with refusing():
        simulation = Simulation(
            devices=devices,
            sites=sites,
            hours=hours,
            cadence=cadence,
            jitter=min(3.0, 0.4 * cadence),
            seed=seed,
            faulty=faulty,
            outages=outages,
            warm_up=warm_up,
        )
        if rate and not to:
            raise ValueError("--rate: messages a second that are published; say where with --to")
        if to:
            _publish(simulation, folder, to, rate)
        else:
            _write(simulation, folder)


def _write(simulation: Simulation, folder: Path) -> None:
    written = write(simulation, folder)
    truth = written.truth
    out.print(
        f"{truth.messages:,} messages with {truth.readings:,} readings, {truth.duplicates:,} "
        f"duplicates and {sum(truth.malformed.values()):,} malformed in {written.messages}",
        highlight=False,
    )
    out.print(
        f"Run the job on it: eddyline run --source {written.messages} --devices {written.devices}",
        highlight=False,
    )


def _publish(simulation: Simulation, folder: Path, to: str, rate: float) -> None:
    target = target_of(to)
    if rate:
        simulation = live(simulation, rate, datetime.now(UTC))
    number = simulation.devices * simulation.readings_per_device
    if number > MOST:
        raise ValueError(
            f"--hours: {number:,} messages would be made at once, {MOST:,} are the most; "
            f"say at most {simulation.hours * MOST / number:.2g} hours"
        )
    # Its event times are the wall clock's: it begins when all of it can be there.
    lead = timedelta(seconds=1 + number / MADE_A_SECOND)
    simulation = replace(simulation, start=datetime.now(UTC) + lead)
    stream = simulate(simulation)
    folder.mkdir(parents=True, exist_ok=True)
    write_registry(stream.fleet, folder / "devices.csv")
    stream.truth.write(folder / "truth.json")
    err.print(
        f"{len(stream.payloads):,} messages to {to} in {simulation.hours:g} hours; "
        f"registry and truth are in {folder}",
        highlight=False,
    )
    said = time.monotonic()

    def tell(done: Published) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_EVERY:
            said = time.monotonic()
            late = f", {done.behind:.1f} s late" if done.behind > 1 else ""
            err.print(f"… {done.messages:,} published{late}", highlight=False)

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    messages = zip(stream.arrival_time.tolist(), stream.payloads, strict=True)
    with stopping() as stop:
        stop.wait(max(0.0, simulation.start.timestamp() - time.time()))
        try:
            done = publish(
                messages,
                target,
                time.monotonic,
                sleep,
                tell,
                stopped=stop.is_set,
            )
        finally:
            target.close()
    again = f", {done.retried:,} of them refused at first" if done.retried else ""
    ended = " (stopped: the truth tells of all that was planned)" if stop.is_set() else ""
    out.print(f"{done.messages:,} messages published{again}{ended}", highlight=False)


@contextmanager
def stopping() -> Generator[Event]:
    """Ctrl-C or SIGTERM sets the event: what is on its way is sent, and counted."""
    stop = Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
