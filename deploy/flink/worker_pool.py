"""A pool of Python workers for `--environment_type=EXTERNAL`, on the loopback interface alone.

Beam's own (`apache_beam.runners.worker.worker_pool_main`) listens on all interfaces, starts the
workers with whatever `python` is first on the path, and keeps their output in a pipe that nobody
reads, in which a worker that logs much stops for good.
"""

import argparse
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from threading import Event, Lock
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

WORKER = """
import logging, sys
from apache_beam.runners.worker.sdk_worker import SdkHarness
logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
SdkHarness(sys.argv[1], worker_id=sys.argv[2]).run()
"""
PATIENCE = 10.0  # s for a worker to end by itself


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Starts a process for each worker that a TaskManager asks for.

    Args:
        logs: Folder for what the workers say; one file for all, lines as they come.
        pids: Folder with a file `worker-PID.pid` for each worker that runs.
    """

    def __init__(self, logs: Path, pids: Path) -> None:
        self._log = (logs / "workers.log").open("ab")
        self._pids = pids
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = Lock()

    def StartWorker(self, request: Any, _: Any) -> Any:  # noqa: N802 gRPC's name
        """Start one."""
        where = request.control_endpoint.url
        command = [sys.executable, "-P", "-c", WORKER, where, request.worker_id]
        with self._lock:
            self._reap()
            worker = subprocess.Popen(  # noqa: S603 what the TaskManager asks for
                command, stdout=self._log, stderr=self._log
            )
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

    def _pid(self, worker: subprocess.Popen[bytes]) -> Path:
        return self._pids / f"worker-{worker.pid}.pid"

    def _reap(self) -> None:
        """Forget those that ended by themselves, such as with their TaskManager."""
        for name, worker in list(self._workers.items()):
            if worker.poll() is not None:
                self._pid(worker).unlink(missing_ok=True)
                del self._workers[name]

    def _stop(self, worker: subprocess.Popen[bytes]) -> None:
        worker.terminate()
        try:
            worker.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
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
