"""A live run from its start to its end: a simulated fleet, an emulated stream, the job on Prism."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import msgspec

from eddyline.io.outages import OUTAGES
from eddyline.io.simulate.fleet import draw_fleet
from eddyline.io.simulate.registry import write_registry
from eddyline.io.sources.lag import LAG
from eddyline.pipeline.live.child import Child, Lost, free_port
from eddyline.pipeline.live.emulators import Emulated, emulated
from eddyline.pipeline.live.job import Job
from eddyline.pipeline.live.lake import LakeNow, LakeWatch
from eddyline.pipeline.live.lived import Lived
from eddyline.pipeline.live.plan import Plan
from eddyline.pipeline.live.publisher import Word
from eddyline.pipeline.live.view import Now
from eddyline.pipeline.live.watchdog import Look, Watchdog
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import Prepared, prepare
from eddyline.pipeline.settings import settings_of
from eddyline.transforms.counts import TALLY

START = 60.0  # s
STEP = 0.25  # s between two looks at the job
LAKE_STEP = 2.0  # s between two looks at the lake
RATE_OVER = 10.0  # s
OURS = ("lake", "alerts.jsonl", "stop", "prism.log", "emulator.log", "publisher.log")


def live(
    plan: Plan,
    prism: Path,
    stop: Event,
    show: Callable[[Now], None],
    tell: Callable[[str], None],
) -> Lived:
    """Run it until it is stopped, then drain it.

    Guarantee: what was published before the stop is read, every window closes, every row is
    committed, and the counts say whether that is so. Every program that was started is ended by
    its own process id, also where this raises.

    Args:
        plan: What to run.
        prism: Prism's binary.
        stop: Set to drain and end.
        show: Called a few times a second with what there is to see.
        tell: Says what is going on, in a line.

    Raises:
        Lost: A program that it needs is not there or does not start.
        ValueError: A setting is wrong.
    """
    make_room(plan.folder)
    with ExitStack() as stack:
        tell(f"Starting an emulated {plan.source_kind} …")
        stream = stack.enter_context(emulated(plan.source_kind, plan.folder))
        write_registry(
            draw_fleet(plan.publishing("").simulation(datetime.now(UTC))),
            plan.folder / "devices.csv",
        )
        publisher = stack.enter_context(_publisher(plan, stream))
        engine, port = stack.enter_context(_engine(prism, plan.folder / "prism.log"))
        tell("Starting the job on Prism, which listens on all interfaces of this machine …")
        prepared = prepare(
            settings_of(plan.settings(stream)),
            beam_options(["--runner=PrismRunner", f"--job_endpoint=localhost:{port}"]),
        )
        title = f"{stream.says} → Prism → {plan.folder}/lake"
        run = _Session(plan, title, publisher, stream, (engine, stream.child), show)
        return run.to_its_end(prepared, stop)


class Publisher:
    """The publishing process, and the last that it said."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.last = Word()
        self._ears = Thread(target=self._listen, name="publisher", daemon=True)
        self._ears.start()

    def _listen(self) -> None:
        for line in self.child.lines:
            self.last = msgspec.json.decode(line, type=Word)

    def stop(self, seconds: float) -> Word:
        """Let it send what is on its way, and end; its last word.

        Raises:
            Lost: It did not say how many it sent.
        """
        self.child.hush()
        self._ears.join(seconds)
        if not self.last.ended:
            raise Lost(f"the publisher did not end; its words are in {self.child.log}")
        return self.last


class _Session:
    """One run that goes on: its looks, its rates, its watchdog."""

    def __init__(
        self,
        plan: Plan,
        title: str,
        publisher: Publisher,
        stream: Emulated,
        needed: Sequence[Child],
        show: Callable[[Now], None],
    ) -> None:
        self.plan, self.title, self.publisher, self.stream = plan, title, publisher, stream
        self.needed, self.show = needed, show
        self.lake = LakeWatch(str(plan.folder / "lake"))
        self.has = LakeNow()
        self.looked = 0.0
        self.past: deque[tuple[float, int, int]] = deque()
        self.dog = Watchdog(plan.patience)
        self.begun = time.monotonic()

    def to_its_end(self, prepared: Prepared, stop: Event) -> Lived:
        """Run until it is stopped or in trouble, then drain."""
        job = Job(prepared)
        trouble = ""
        while not (trouble or stop.is_set() or self._time_is_over()):
            trouble = self._step("running", job)
        if trouble and (job.over.is_set() or not self.publisher.last.trouble):
            return self._lived(job, trouble)  # nothing to drain with
        try:
            last = self.publisher.stop(START)
        except Lost as error:
            return self._lived(job, str(error))
        drained = self._drain(job, last.messages)
        return self._lived(job, trouble or drained)

    def _time_is_over(self) -> bool:
        return 0 < self.plan.seconds <= time.monotonic() - self.begun

    def _drain(self, job: Job, published: int) -> str:
        """Let the job read what is there, then end its source; what went wrong."""
        trouble = ""
        while not trouble and TALLY.read().get("messages", 0) < published:
            trouble = self._step("draining", job)
        if trouble:
            return trouble
        (self.plan.folder / "stop").touch()
        until = time.monotonic() + self.plan.patience
        while not job.over.is_set():
            self._show("draining")
            job.over.wait(STEP)
            if time.monotonic() > until:
                return f"the job did not end within {self.plan.patience:.0f} s of its source"
        return job.trouble

    def _step(self, phase: str, job: Job) -> str:
        """One look; what is wrong, if anything."""
        look = self._show(phase)
        if job.over.wait(STEP):
            return job.trouble or "the job ended by itself"
        word = self.publisher.last
        if phase == "running" and (word.ended or self.publisher.child.gone):
            return word.trouble or f"the publisher is gone: see {self.publisher.child.log}"
        for child in self.needed:
            if child.gone:
                return f"{child.name} is gone: see {child.log}"
        return self.dog.trouble(look) or ""

    def _show(self, phase: str) -> Look:
        now, word, counts = time.monotonic(), self.publisher.last, TALLY.read()
        if now - self.looked >= LAKE_STEP:
            self.has, self.looked = self.lake.look(), now
        read, readings = counts.get("messages", 0), counts.get("readings", 0)
        self.past.append((now, word.messages, readings))
        while now - self.past[0][0] > RATE_OVER:
            self.past.popleft()
        then, published, scored = self.past[0]
        passed = max(now - then, 1.0)
        behind = LAG.read().get(self.stream.source)
        self.show(
            Now(
                title=self.title,
                phase="starting" if phase == "running" and not read else phase,
                seconds=now - self.begun,
                devices=self.plan.devices,
                published=word.messages,
                publish_rate=(word.messages - published) / passed,
                behind=word.behind,
                lag=None if behind is None else behind / 1000,
                reading_rate=(readings - scored) / passed,
                counts=counts,
                lake=self.has,
            )
        )
        return Look(now, word.messages, read, self.has.commits, bool(OUTAGES.read()))

    def _lived(self, job: Job, trouble: str) -> Lived:
        last = self.publisher.last
        rows = {}
        if job.ended is not None:
            rows = {name: self.lake.rows(name) for name in ("readings", "dead_letters")}
        return Lived(last.messages, last.retried, job.ended, rows, trouble)


def make_room(folder: Path) -> None:
    """Make the folder, and take out of it what an earlier live run left there."""
    folder.mkdir(parents=True, exist_ok=True)
    old = [folder / name for name in OURS] + list(folder.glob("truth-*.json"))
    for path in old:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _engine(prism: Path, log: Path) -> Generator[tuple[Child, int]]:
    """Prism and its port, until the block ends."""
    port = free_port()
    command = [str(prism), f"--job_port={port}", "--serve_http=false", "--log_kind=json"]
    child = Child("Prism", [*command, "--log_level=warn"], log)
    try:
        child.await_port(port, START)
        yield child, port
    finally:
        child.end()


@contextmanager
def _publisher(plan: Plan, stream: Emulated) -> Generator[Publisher]:
    task = msgspec.json.encode(plan.publishing(stream.target)).decode()
    command = [sys.executable, "-m", "eddyline.pipeline.live.publisher", task]
    child = Child("the publisher", command, plan.folder / "publisher.log", listens=True)
    try:
        yield Publisher(child)
    finally:
        child.end()
