"""The real `eddyline live` in a process of its own, as a user has it."""

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from eddyline.pipeline.live.lake import LakeWatch

COMMAND = (
    "import typer; from eddyline.pipeline.commands import live as c; typer.run(c.live_command)"
)


class Run:
    """One run, and what it said."""

    def __init__(self, folder, prism, *options):
        self.folder, self.said = folder, ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--folder", str(folder), *options],
            env={**os.environ, "EDDYLINE_PRISM": str(prism)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def signal(self, number):
        os.kill(self.process.pid, number)

    def children(self):
        """Process ids of the children, with their commands."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.split(None, 1) for line in listed.stdout.splitlines()]
        return {int(pid): command for pid, command in lines if not command.startswith("ps ")}

    def await_readings(self, seconds=150.0):
        """Wait until the lake has some."""
        watch, until = LakeWatch(str(self.folder / "lake")), time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if (self.folder / "lake" / "readings").is_dir() and watch.look().commits >= 2:
                return
            time.sleep(0.2)
        pytest.fail(f"no readings; it said: {self.hear(5.0)}")

    def hear(self, seconds=60.0, until=None):
        """What it says from now on: to its end, or until it said that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until and re.search(until, self.said)):
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    break
                self.said += more.decode()
        return self.said

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def live(prism, tmp_path):
    """Start it; what is left of it ends with the test."""
    pytest.importorskip("moto")
    runs = []

    def start(*options):
        runs.append(Run(tmp_path / "live", prism, *options))
        return runs[-1]

    yield start
    for run in runs:
        run.end()
