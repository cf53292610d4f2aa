"""Processes that outlive the command that started them: a pid in a file, stopped by that pid."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 15.0  # s for a process to end by itself


@dataclass(frozen=True)
class Process:
    """One process of a cluster.

    Args:
        name: Of its pid file and log.
        folder: With the folders `pids` and `logs`.
    """

    name: str
    folder: Path

    @property
    def pid_file(self) -> Path:
        """Holds the pid and when the process began: a pid alone may be another's by now."""
        return self.folder / "pids" / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "logs" / f"{self.name}.log"

    def start(self, command: list[str]) -> None:
        """Start it, in a session of its own, so that Ctrl-C here does not reach it."""
        # Not `Popen`, which warns of a process that is still there when its starter ends.
        log = (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            log,
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=files, setsid=True)
        self.pid_file.write_text(f"{pid}\n{_begun(pid)}\n")

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        try:
            pid, begun = self.pid_file.read_text().splitlines()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if begun and _begun(int(pid)) == begun else None

    def kill(self) -> None:
        """Kill it as a crash would: SIGKILL."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            self._wait(pid)
        self.pid_file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGTERM)
            if not self._wait(pid):
                os.kill(pid, signal.SIGKILL)
                self._wait(pid)
        self.pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 10) -> str:
        """The end of its log."""
        if not self.log.is_file():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _wait(self, pid: int) -> bool:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not _begun(pid):
                return True
            time.sleep(0.05)
        return False


def _begun(pid: int) -> str:
    """When a process began; empty where there is none, or only its exit code is left."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # where it is our own child
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    shown = subprocess.run(  # noqa: S603 a number
        command, capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return "" if len(shown) < 2 or shown[0].startswith("Z") else shown[1].strip()
