"""A pool of Python workers for `--environment_type=EXTERNAL`, on the loopback interface alone.

Beam's own (`apache_beam.runners.worker.worker_pool_main`) listens on all interfaces, starts the
workers with whatever `python` is first on the path, and keeps their output in a pipe that nobody
reads, in which a worker that logs much stops for good.

A worker here is a fork of a process that has imported what takes long, so it is at work in a
moment: seconds less for a job to start, and to go on after a kill. Nothing of ours is imported
there, or a worker would run the code of the day on which the pool was started.
"""

import argparse
import logging
import os
import signal
from concurrent import futures
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from threading import Event, Lock
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

IMPORTED = (
    "apache_beam",
    "apache_beam.runners.worker.sdk_worker",
    "boto3",
    "deltalake",
    "fastavro",
    "msgspec",
    "numba",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "river.anomaly",
    "structlog",
    "yaml",
)
PATIENCE = 10.0  # s for a worker to end by itself


def work(where: str, worker: str, log: Path) -> None:
    """Be a worker until the TaskManager has no more work."""
    with log.open("ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    SdkHarness(where, worker_id=worker).run()


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts a process for each worker that a TaskManager asks for.

    Args:
        logs: Folder for what the workers say; one file for all, lines as they come.
        pids: Folder with a file `worker-PID.pid` for each worker that runs.
    """

    def __init__(self, logs: Path, pids: Path) -> None:
        self._log = logs / "workers.log"
        self._pids = pids
        self._workers: dict[str, ForkServerProcess] = {}
        self._lock = Lock()
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(list(IMPORTED))
        ensure_running()  # so that it imports while the rest of the cluster starts

    def StartWorker(self, request: Any, _: Any) -> Any:  # noqa: N802 gRPC's name
        """Start one."""
        where = request.control_endpoint.url
        with self._lock:
            self._reap()
            worker = self._context.Process(target=work, args=(where, request.worker_id, self._log))
            worker.start()
            self._workers[request.worker_id] = worker
            self._pid(worker).write_text(f"{worker.pid}\n")
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Stop one; without a word where it is gone."""
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            self._stop(worker)
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Stop all."""
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
        for worker in workers:
            worker.terminate()
        for worker in workers:
            self._stop(worker)

    def _pid(self, worker: ForkServerProcess) -> Path:
        return self._pids / f"worker-{worker.pid}.pid"

    def _reap(self) -> None:
        """Forget those that ended by themselves, such as with their TaskManager."""
        for name, worker in list(self._workers.items()):
            if not worker.is_alive():
                self._pid(worker).unlink(missing_ok=True)
                del self._workers[name]

    def _stop(self, worker: ForkServerProcess) -> None:
        worker.terminate()
        worker.join(PATIENCE)
        if worker.is_alive():
            worker.kill()
            worker.join()
        self._pid(worker).unlink(missing_ok=True)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--pids", type=Path, required=True)
    given = parser.parse_args()
    pool = WorkerPool(given.logs, given.pids)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"127.0.0.1:{given.port}")
    server.start()
    told = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()
    pool.close()
    server.stop(None)


if __name__ == "__main__":
    main()
