"""A cluster on this machine: a JobManager, a TaskManager, a pool of Python workers."""

import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.flink import jvm
from deploy.flink.parts import Parts
from deploy.flink.process import Process
from deploy.flink.rest import Rest

LOOPBACK = "127.0.0.1"
START_PATIENCE = 90.0  # s


class NotUp(Exception):
    """A process did not start; the message has the end of its log."""


@dataclass(frozen=True)
class Ports:
    """Where the cluster listens, on the loopback interface."""

    rest: int
    rpc: int
    blob: int
    pool: int


@dataclass(frozen=True)
class Cluster:
    """What is known of a cluster by its folder.

    Args:
        folder: Holds its configuration, pids, logs, checkpoints and savepoints.
        ports: Where it listens.
        slots: Of its TaskManager.
    """

    folder: Path
    ports: Ports
    slots: int = 2

    @property
    def rest(self) -> Rest:
        """Flink's REST API."""
        return Rest(f"http://{LOOPBACK}:{self.ports.rest}")

    @property
    def pool_address(self) -> str:
        """Of the pool of workers."""
        return f"{LOOPBACK}:{self.ports.pool}"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints go."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Where savepoints go."""
        return self.folder / "savepoints"

    @property
    def job_manager(self) -> Process:
        """The JobManager."""
        return Process("job-manager", self.folder)

    @property
    def task_manager(self) -> Process:
        """The TaskManager."""
        return Process("task-manager", self.folder)

    @property
    def pool(self) -> Process:
        """The pool of workers."""
        return Process("worker-pool", self.folder)

    def workers(self) -> list[int]:
        """The pids of the Python workers that run, the newest last."""
        files = sorted((self.folder / "pids").glob("worker-[0-9]*.pid"), key=_written)
        pids = [int(text) for file in files if (text := _read(file))]
        return [pid for pid in pids if _alive(pid)]

    def start(self, parts: Parts) -> None:
        """Start what does not run, and wait until all of it answers.

        Raises:
            NotUp: Something did not start.
        """
        for name in ("pids", "logs", "conf", "checkpoints", "savepoints"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._configure()
        conf = self.folder / "conf"
        # All at the same time: each of them takes seconds of its own.
        if self.job_manager.pid is None:
            self.job_manager.start(jvm.job_manager(parts, conf))
        if self.task_manager.pid is None:
            self.task_manager.start(jvm.task_manager(parts, conf))
        if self.pool.pid is None:
            self.pool.start(self._pool_command())
        self._wait(self.job_manager, self.rest.answers)
        self._wait(self.pool, lambda: _listens(self.ports.pool))
        self.start_task_manager(parts)

    def start_task_manager(self, parts: Parts) -> None:
        """Start the TaskManager where none runs, and wait until it is registered.

        Raises:
            NotUp: It did not start.
        """
        if self.task_manager.pid is None:
            self.task_manager.start(jvm.task_manager(parts, self.folder / "conf"))
        self._wait(self.task_manager, lambda: self.rest.task_managers() > 0)

    def stop(self) -> None:
        """Stop all of it, each by its pid; checkpoints, savepoints and logs stay."""
        for process in (self.task_manager, self.job_manager, self.pool):
            process.stop()

    def _configure(self) -> None:
        lines = [f"{name}: {value}" for name, value in self._configuration().items()]
        (self.folder / "conf" / "config.yaml").write_text("\n".join(lines) + "\n")

    def _configuration(self) -> Mapping[str, object]:
        return {
            "jobmanager.rpc.address": LOOPBACK,
            "jobmanager.rpc.port": self.ports.rpc,
            "jobmanager.bind-host": LOOPBACK,
            "jobmanager.memory.process.size": "1g",
            "blob.server.port": self.ports.blob,
            "rest.address": LOOPBACK,
            "rest.bind-address": LOOPBACK,
            "rest.port": self.ports.rest,
            "taskmanager.host": LOOPBACK,
            "taskmanager.bind-host": LOOPBACK,
            "taskmanager.cpu.cores": 1,
            "taskmanager.numberOfTaskSlots": self.slots,
            "state.backend.type": "hashmap",
            "state.checkpoints.dir": self.checkpoints.resolve().as_uri(),
            "state.savepoints.dir": self.savepoints.resolve().as_uri(),
            "state.checkpoints.num-retained": 3,
            # A cluster that died is resumed from the last one: it must outlive the job.
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            # An outage of storage is no reason to begin anew.
            "execution.checkpointing.tolerable-failed-checkpoints": 1000,
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "10 s",
            "restart-strategy.exponential-delay.attempts-before-reset-backoff": 2147483647,
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 15000,
            # A TaskManager that is up before its JobManager looks again soon.
            "cluster.registration.error-delay": 500,
            # How old what the REST API tells may be, such as whether a job is drained.
            "metrics.fetcher.update-interval": 500,
            "web.submit.enable": True,
            "web.tmpdir": (self.folder / "web").resolve(),
            "io.tmp.dirs": (self.folder / "tmp").resolve(),
        }

    def _pool_command(self) -> list[str]:
        script = str(Path(__file__).with_name("worker_pool.py"))
        folders = ["--logs", str(self.folder / "logs"), "--pids", str(self.folder / "pids")]
        return [sys.executable, "-P", script, "--port", str(self.ports.pool), *folders]

    def _wait(self, process: Process, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + START_PATIENCE
        while not ready():
            if process.pid is None:
                raise NotUp(f"{process.name} ended:\n{process.tail()}")
            if time.monotonic() > end:
                raise NotUp(f"{process.name} does not answer; see {process.log}")
            time.sleep(0.1)


def new_cluster(folder: Path, slots: int = 2) -> Cluster:
    """A cluster in a folder: the one that is described there, else on ports that are free."""
    description = folder / "cluster.json"
    if not description.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        ports = dict(zip(Ports.__dataclass_fields__, _free_ports(4), strict=True))
        description.write_text(json.dumps({"ports": ports, "slots": slots}, indent=2) + "\n")
    return cluster_in(folder)


def cluster_in(folder: Path) -> Cluster:
    """The cluster that is described in a folder.

    Raises:
        NotUp: None is.
    """
    try:
        description = json.loads((folder / "cluster.json").read_text())
    except FileNotFoundError as error:
        raise NotUp(f"no cluster in {folder}: start one with `make flink-up`") from error
    return Cluster(folder.resolve(), Ports(**description["ports"]), description["slots"])


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens at now; all are held until all are known."""
    held = [socket.socket() for _ in range(number)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((LOOPBACK, port)) == 0


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # it ended meanwhile
        return 0.0


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
