"""`eddyline live`: the run, its view, and what Ctrl-C means."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from eddyline.pipeline.commands.refusing import refusing
from eddyline.pipeline.live.child import Lost
from eddyline.pipeline.live.emulators import SourceKind
from eddyline.pipeline.live.lived import Lived
from eddyline.pipeline.live.plan import Plan
from eddyline.pipeline.live.session import live
from eddyline.pipeline.live.view import Now, as_lines, as_screen
from eddyline.pipeline.logs import set_up_logs
from eddyline.pipeline.options import with_settings
from eddyline.pipeline.prism import get_prism
from eddyline.pipeline.summary import told

FAILED, STOPPED = 1, 130
LINE_EVERY = 10.0  # s, where there is no terminal
out, err = Console(), Console(stderr=True)


@with_settings("detector", "detector_options", "shards", "disorder", "allowed_lateness", "policy")
def live_command(
    given: dict[str, Any],
    devices_count: Annotated[int, typer.Option(help="Devices.")] = 50,
    rate: Annotated[float, typer.Option(help="Messages a second.")] = 300.0,
    seconds: Annotated[float, typer.Option(help="How long; 0 until Ctrl-C.")] = 0.0,
    source_kind: Annotated[
        SourceKind, typer.Option(help="The emulated service between fleet and job.")
    ] = "kinesis",
    folder: Annotated[Path, typer.Option(help="Where the lake, policy, truth and logs go.")] = Path(
        "live"
    ),
    patience: Annotated[
        float, typer.Option(help="Seconds without progress after which it gives up.")
    ] = 60.0,
    log_level: Annotated[
        str, typer.Option(help="Least level of log lines; on a terminal they go to a file.")
    ] = "WARNING",
) -> None:
    """Run everything on this machine: a simulated fleet, an emulated stream, the job on Prism.

    Faults begin once the models know their devices (about a minute by default). Ctrl-C drains:
    all that was published is read, windows close, the lake is committed, the counts are checked.
    A second Ctrl-C stops at once.

    Exit codes: 0 drained and all counts agree, 1 not so, 2 used wrongly, 130 stopped at once.
    """
    with refusing():
        set_up_logs(level=log_level)
        plan = Plan(devices_count, rate, seconds, source_kind, folder, patience, given)
        prism = get_prism(_tell)
    try:
        with draining() as stop, showing(folder) as show, refusing():
            lived = live(plan, prism, stop, show, _tell)
    except KeyboardInterrupt:
        err.print("Stopped at once. What was committed to the lake stays.")
        _leave(STOPPED)
    except Lost as error:
        err.print(f"[bold red]eddyline:[/] {escape(str(error))}", highlight=False)
        _leave(FAILED)
    else:
        _leave(_report(plan, lived))


@contextmanager
def draining() -> Generator[Event]:
    """A first Ctrl-C (or SIGTERM) sets the event, a second one is a `KeyboardInterrupt`."""
    stop = Event()

    def interrupt(*_: object) -> None:
        if stop.is_set():
            # Each thread of Beam cries out when the engine goes, by one way or the other.
            threading.excepthook = lambda _: None
            logging.disable()
            raise KeyboardInterrupt
        stop.set()

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def showing(folder: Path) -> Generator[Callable[[Now], None]]:
    """The view: a screen on a terminal, else a line every ten seconds."""
    if not out.is_terminal:
        yield _Lines()
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "live.log"
    with log.open("w", encoding="utf-8") as words, Live(console=out, auto_refresh=False) as screen:
        # A line on standard error would tear the screen.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(words)
        try:
            yield lambda now: screen.update(as_screen(now), refresh=True)
        finally:
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.setStream(sys.stderr)


class _Lines:
    """Prints a line now and then, and one where the phase changes."""

    def __init__(self) -> None:
        self.at, self.phase = -LINE_EVERY, ""

    def __call__(self, now: Now) -> None:
        if now.phase != self.phase or now.seconds - self.at >= LINE_EVERY:
            self.at, self.phase = now.seconds, now.phase
            out.print(as_lines(now), highlight=False, soft_wrap=True)


def _report(plan: Plan, lived: Lived) -> int:
    """Print how it ended; the exit code."""
    if lived.ended is not None and lived.balance is not None:
        out.print(told(lived.balance, lived.ended.seconds))
        again = f" ({lived.retried:,} sent again)" if lived.retried else ""
        out.print(f"{lived.published:,} messages were published{again}.", highlight=False)
    for difference in lived.differences:
        err.print(f"[bold red]The counts do not agree:[/] {escape(difference)}", highlight=False)
    if lived.trouble:
        err.print(f"[bold red]eddyline live:[/] {escape(lived.trouble)}.", highlight=False)
        err.print(
            f"Look further: {plan.folder}/prism.log and live.log; or run it again with "
            "--log-level=INFO. The lake keeps its commits.",
            highlight=False,
        )
    if lived.trouble or lived.differences:
        return FAILED
    lake = escape(str(plan.folder / "lake"))
    out.print(f"Drained: all of it is in [bold]{lake}[/]. Look further:", highlight=False)
    out.print(f"  eddyline show incidents --lake {lake}", highlight=False)
    return 0


def _leave(code: int) -> None:
    """End the process: threads of a job that hangs would hold it."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)


def _tell(words: str) -> None:
    err.print(words, highlight=False)
