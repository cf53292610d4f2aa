"""Children: other programs that a live run needs beside it, and that never outlive it.

A parent that is killed cannot end its children. Linux could (`PR_SET_PDEATHSIG`), but only the one
process, not the Java that a script started; and asking for it between fork and exec is not safe
with threads. So a child gets a guard: a shell in its process group that waits for the end of a pipe
of ours, which the system closes however we end, and then kills the group, itself with it. While it
is there nobody else can have the group's number.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

GRACE = 8.0  # s from a polite end to a hard one
# Starts the guard and becomes the program, whose process id is therefore ours to wait for. The
# guard outlives a polite end, which is for the program alone.
GUARDED = (
    "exec 3<&0; (trap '' TERM; read _ <&3; kill -KILL 0) >/dev/null 2>&1 & "
    'exec 3<&-; exec "$@" </dev/null'
)


class Lost(Exception):
    """A child did not start, or is gone; the words say where its own last words are."""


class Child:
    """One program, in a session of its own: Ctrl-C on our terminal does not reach it.

    Guarantee: it is ended by its own process id and no other; and it does not outlive us, also
    where we are killed.

    Args:
        name: What it is, for words.
        command: The program and its arguments.
        log: Where its words go.
        environment: Variables that it has beside ours.
        listens: Whether it is a program of ours that reads its standard input and ends with that.
            Its standard output is for us (`lines`) then and not for the log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        listens: bool = False,
    ) -> None:
        self.name, self.log = name, log
        if not listens:
            if shutil.which(command[0]) is None:
                raise Lost(f"{name} does not start: there is no program {command[0]}")
            command = ["/bin/sh", "-c", GUARDED, name, *command]
        with log.open("ab") as words:
            try:
                self.process = subprocess.Popen(  # noqa: S603 the commands are ours
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if listens else words,
                    stderr=words,
                    env={**os.environ, **(environment or {})},
                    start_new_session=True,
                )
            except OSError as error:
                raise Lost(f"{name} does not start: {error}") from error

    @property
    def lines(self) -> IO[bytes]:
        """What it says to us."""
        if self.process.stdout is None:
            raise ValueError(f"{self.name} talks to its log")
        return self.process.stdout

    @property
    def gone(self) -> bool:
        """Whether it has ended, as it should or not."""
        return self.process.poll() is not None

    def hush(self) -> None:
        """Close its standard input: what listens ends by itself, anything else is killed."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def end(self, *, hard: bool = False) -> None:
        """End it politely, then hard; then what it started, hard."""
        for signal_number in (signal.SIGKILL,) if hard else (signal.SIGTERM, signal.SIGKILL):
            if self.gone:
                break
            try:
                os.killpg(self.process.pid, signal_number)
                os.killpg(self.process.pid, signal.SIGCONT)  # a stopped one would not hear it
                self.process.wait(GRACE)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.hush()
        self.process.wait(GRACE)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def await_port(self, port: int, seconds: float) -> None:
        """Wait until it listens on a port of loopback.

        Raises:
            Lost: It does not.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.gone:
                raise Lost(f"{self.name} ended at its start; its words are in {self.log}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise Lost(f"{self.name} did not start in {seconds:.0f} s; its words are in {self.log}")


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
