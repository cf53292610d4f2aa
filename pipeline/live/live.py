"""Live: a simulated fleet through an emulated stream and the real job on Prism, while you watch."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import msgspec
import yaml

from eddyline.io.simulate.fleet import draw_fleet
from eddyline.io.simulate.registry import write_registry
from eddyline.io.sources.lag import LAG
from eddyline.pipeline.live.child import Child, Lost, free_port
from eddyline.pipeline.live.emulators import Emulated, SourceKind, emulated
from eddyline.pipeline.live.lake import LakeNow, LakeWatch
from eddyline.pipeline.live.publisher import Publishing, Word
from eddyline.pipeline.live.view import Now
from eddyline.pipeline.live.watchdog import Look, Watchdog
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import Ended, Prepared, prepare
from eddyline.pipeline.settings import settings_of
from eddyline.pipeline.summary import Balance, balance_of
from eddyline.transforms.counts import TALLY

START = 60.0  # s
STEP = 0.25  # s between two looks at the job
LAKE_STEP = 2.0  # s between two looks at the lake
RATE_OVER = 10.0  # s
WARM_UP = 300  # readings a device needs until its model is ready
FAULTS = 4.5  # minutes of a round after that
REPEATED = 75.0  # s after which no message comes again
OURS = ("lake", "alerts.jsonl", "stop", "prism.log", "emulator.log", "publisher.log")

# Faults last a minute or two here and not hours, and so do the policy's times.
POLICY: dict[str, Any] = {
    "defaults": {"quiet": "45s", "silence": {"factor": 3, "minimum": "10s"}},
    "storms": [{"devices": 10, "share": 0.3, "within": "5s"}],
    "channels": {"alerts": {"kind": "file", "path": "alerts.jsonl"}},
    "routes": [{"match": {"at_least": "info"}, "channels": ["alerts"]}],
}


@dataclass(frozen=True)
class Plan:
    """What to run.

    Args:
        devices: Devices of the simulated fleet.
        rate: Messages a second.
        seconds: How long; 0 for until it is stopped.
        source_kind: Which emulated service is between fleet and job.
        folder: Where the lake, the registry, the policy, the truth and the logs go.
        patience: Seconds for which there may be work and none is done.
        given: Settings that are not ours to choose.

    Raises:
        ValueError: A number makes no sense.
    """

    devices: int = 50
    rate: float = 300.0
    seconds: float = 0.0
    source_kind: SourceKind = "kinesis"
    folder: Path = Path("live")
    patience: float = 60.0
    given: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name in ("devices", "rate", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} must be more than 0, not {getattr(self, name)}")
        if not self.seconds >= 0:
            raise ValueError(f"--seconds must not be negative, it is {self.seconds}")

    @property
    def warm_up(self) -> float:
        """Minutes until every device has enough readings, and a little more.

        Example:
            >>> Plan(devices=50, rate=300.0).warm_up
            1.1
        """
        return round(1.15 * WARM_UP * self.devices / self.rate / 60 + 0.15, 1)

    def publishing(self, target: str) -> Publishing:
        """What the publisher is told."""
        return Publishing(
            target,
            self.devices,
            self.rate,
            str(self.folder),
            minutes=self.warm_up + FAULTS,
            warm_up=self.warm_up,
        )


@dataclass(frozen=True)
class Lived:
    """How a live run ended.

    Args:
        published: Messages that were published.
        retried: Times that a message was refused and sent again.
        ended: How the job ended; None where it did not.
        rows: Rows of the lake's tables, by what was committed.
        trouble: What went wrong, in words; empty where nothing did.
    """

    published: int
    retried: int
    ended: Ended | None
    rows: dict[str, int]
    trouble: str = ""

    @property
    def balance(self) -> Balance | None:
        """What went in and what came out; None where the job did not end."""
        return None if self.ended is None else balance_of(self.ended)

    @property
    def differences(self) -> list[str]:
        """What does not agree, in words; none where nothing was lost and nothing doubled."""
        balance = self.balance
        if balance is None:
            return []
        found: list[str] = []
        if not balance.holds:
            found.append("readings, duplicates and dead letters are not what was read")
        if not self.published <= balance.messages <= self.published + self.retried:
            found.append(f"{self.published:,} messages published, {balance.messages:,} read")
        refused = sum(balance.dead_letters.values())
        for name, counted in (("readings", balance.readings), ("dead_letters", refused)):
            if self.rows[name] != counted:
                found.append(f"{counted:,} {name} counted, {self.rows[name]:,} in the lake")
        return found


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
    _make_room(plan.folder)
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
            settings_of({**_settings(plan, stream), **plan.given}),
            beam_options(["--runner=PrismRunner", f"--job_endpoint=localhost:{port}"]),
        )
        title = f"{stream.says} → Prism → {plan.folder}/lake"
        run = _Live(plan, title, publisher, stream, (engine, stream.child), show)
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


class _Job:
    """The job in a thread of its own: this one watches, and hears Ctrl-C."""

    def __init__(self, prepared: Prepared) -> None:
        self.ended: Ended | None = None
        self.error: Exception | None = None
        self.over = Event()
        Thread(target=self._run, args=(prepared,), name="job", daemon=True).start()

    def _run(self, prepared: Prepared) -> None:
        try:
            self.ended = prepared.run()
        except Exception as error:
            self.error = error
        finally:
            self.over.set()

    @property
    def trouble(self) -> str:
        """Why it ended, where it should not have."""
        if self.error is not None:
            lines = [line for line in str(self.error).splitlines() if line.strip(" \t<>")]
            return f"the job failed: {lines[-1].strip() if lines else type(self.error).__name__}"
        if self.ended is not None and self.ended.state != "DONE":
            return f"the job ended as {self.ended.state}"
        return ""


class _Live:
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
        job = _Job(prepared)
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

    def _drain(self, job: _Job, published: int) -> str:
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

    def _step(self, phase: str, job: _Job) -> str:
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
        return Look(now, word.messages, read, self.has.commits)

    def _lived(self, job: _Job, trouble: str) -> Lived:
        last = self.publisher.last
        rows = {}
        if job.ended is not None:
            rows = {name: self.lake.rows(name) for name in ("readings", "dead_letters")}
        return Lived(last.messages, last.retried, job.ended, rows, trouble)


def _make_room(folder: Path) -> None:
    """Make the folder, and take out of it what an earlier live run left there."""
    folder.mkdir(parents=True, exist_ok=True)
    old = [folder / name for name in OURS] + list(folder.glob("truth-*.json"))
    for path in old:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _settings(plan: Plan, stream: Emulated) -> dict[str, Any]:
    """The settings of the job."""
    policy = plan.folder / "policy.yaml"
    alerts = {"alerts": {"kind": "file", "path": str((plan.folder / "alerts.jsonl").resolve())}}
    policy.write_text(
        "# Written by `eddyline live`; change it while the job runs.\n"
        + yaml.safe_dump({**POLICY, "channels": alerts}, sort_keys=False),
        encoding="utf-8",
    )
    return {
        "source": stream.source,
        "schema": "room",
        "devices": str(plan.folder / "devices.csv"),
        "lake": str(plan.folder / "lake"),
        "policy": str(policy),
        "policy_refresh": 5.0,
        "stop_file": str((plan.folder / "stop").resolve()),
        "disorder": 3.0,
        "shards": 4,
        "lake_shards": 1,
        # A device of this fleet sends more in a minute than others in an hour.
        "remember": max(64, round(REPEATED * plan.rate / plan.devices)),
    }


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
