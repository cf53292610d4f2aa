"""Flink: a cluster on this machine for all jobs, one after the other, with one Python worker."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.engines.engine import Engine, Running, Unavailable
from deploy.fetching import Unavailable as NoParts
from deploy.flink.cluster import NotUp, new_cluster
from deploy.flink.parts import Parts, fetch
from deploy.flink.rest import Refused
from deploy.flink.submit import CHECKPOINT, options


@contextmanager
def flink(folder: Path, tell: Callable[[str], None]) -> Generator[Engine]:
    """The engine. Its workers inherit this process's variables as they are now.

    Raises:
        Unavailable: Its parts cannot be had, or it does not start.
    """
    try:
        parts = fetch(Parts(), tell)
    except NoParts as error:
        raise Unavailable(str(error)) from error
    cluster = new_cluster(folder / "flink", slots=1)

    @contextmanager
    def start() -> Generator[Running]:
        for job in cluster.rest.running():
            cluster.rest.cancel(job)
        pids = [cluster.job_manager.pid, cluster.task_manager.pid]
        yield Running(
            options(cluster, parts, []),
            [pid for pid in pids if pid is not None],
            lambda _job: cluster.workers(),
            stop,
        )

    def stop() -> None:
        for job in cluster.rest.running():
            with suppress(Refused):  # it has ended meanwhile
                cluster.rest.cancel(job)

    try:
        try:
            cluster.start(parts)
        except NotUp as error:
            raise Unavailable(str(error)) from error
        says = f"Flink 1.19, a checkpoint every {CHECKPOINT / 1000:.0f} s, one worker process"
        yield Engine("Flink", says, start)
    finally:
        cluster.stop()
