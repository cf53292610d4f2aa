"""Google's Pub/Sub emulator, where the Google Cloud SDK has it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = 60.0


class NotHere(Exception):
    """The emulator is not installed; says what it needs."""


@contextmanager
def running() -> Iterator[str]:
    """The emulator on loopback; gives its address. It ends with the context."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        raise NotHere("needs gcloud and java for the Pub/Sub emulator")
    platform = Path(gcloud).resolve().parents[1] / "platform"
    program = platform / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator"
    if not program.exists():
        raise NotHere("needs the Pub/Sub emulator: gcloud components install pubsub-emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(program), "--host=127.0.0.1", f"--port={port}"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            _await(port)
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _await(port: int) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"the Pub/Sub emulator did not start in {START:g} s")
