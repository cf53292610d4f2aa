"""Flink's REST API: what runs, its checkpoints, savepoints."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

END_OF_TIME = 9_223_371_950_454_775  # ms; Beam's last timestamp


class Refused(Exception):
    """The JobManager said no, or did not answer; the message says what."""


@dataclass(frozen=True)
class Rest:
    """A JobManager.

    Args:
        address: Such as `http://127.0.0.1:8081`.
        timeout: Seconds for one answer.
    """

    address: str
    timeout: float = 10.0

    def get(self, path: str) -> Any:
        """What is at a path.

        Raises:
            Refused: It does not answer, or says no.
        """
        return self._ask(path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a request.

        Raises:
            Refused: It does not answer, or says no.
        """
        return self._ask(path, "POST", json.dumps(body).encode())

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            self.get("/overview")
        except Refused:
            return False
        return True

    def task_managers(self) -> int:
        """How many are registered."""
        return int(self.get("/overview")["taskmanagers"])

    def jobs(self) -> dict[str, str]:
        """All jobs' states by id; the newest last."""
        jobs = sorted(self.get("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
        return {job["jid"]: job["state"] for job in jobs}

    def running(self) -> list[str]:
        """The ids of the jobs that have not ended."""
        ended = ("FINISHED", "FAILED", "CANCELED")
        return [job for job, state in self.jobs().items() if state not in ended]

    def streams(self, job: str) -> bool:
        """Whether it has no end; a bounded one takes no checkpoints."""
        return self.get(f"/jobs/{job}")["job-type"] == "STREAMING"

    def counts(self, job: str) -> dict[str, int]:
        """How many of a job's checkpoints are completed, failed, restored from."""
        return self.get(f"/jobs/{job}/checkpoints")["counts"]

    def last_checkpoint(self, job: str) -> str | None:
        """Where the last complete one lies."""
        last = self.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]
        return last and last["external_path"]

    def drained(self, job: str) -> bool:
        """Whether the source has ended and every step has seen the end of the stream.

        The job goes on nevertheless, and takes checkpoints: Flink keeps a stream's source open.
        """
        steps = [step["id"] for step in self.get(f"/jobs/{job}")["vertices"]]
        told = [self.get(f"/jobs/{job}/vertices/{step}/watermarks") for step in steps]
        marks = [int(mark["value"]) for subtasks in told for mark in subtasks]
        return bool(marks) and min(marks) >= END_OF_TIME

    def settled(self, job: str) -> bool:
        """Whether it is drained, and every step has passed the end on: nothing waits in any.

        A step whose files wait for their commit holds the end back.
        """
        return self.drained(job) and all(
            mark >= END_OF_TIME
            for step in self.get(f"/jobs/{job}")["vertices"]
            for mark in self._passed_on(f"/jobs/{job}/vertices/{step['id']}/metrics")
        )

    def _passed_on(self, path: str) -> list[int]:
        """The watermarks that the parts of a step have passed on."""
        names = [quote(one["id"], safe="") for one in self.get(path)]
        wanted = [name for name in names if name.endswith("currentOutputWatermark")]
        return [int(self.get(f"{path}?get={name}")[0]["value"]) for name in wanted]

    def stop_with_savepoint(self, job: str, folder: str, patience: float = 120.0) -> str:
        """Stop a job without end; gives where its savepoint lies.

        The source is not drained: windows stay open and go on from the savepoint.

        Raises:
            Refused: The savepoint failed, or is not complete after `patience` seconds.
        """
        body = {"targetDirectory": folder, "drain": False}
        trigger = self.post(f"/jobs/{job}/stop", body)["request-id"]
        end = time.monotonic() + patience
        while time.monotonic() < end:
            answer = self.get(f"/jobs/{job}/savepoints/{trigger}")
            if answer["status"]["id"] == "COMPLETED":
                operation = answer["operation"]
                if "location" not in operation:
                    cause = operation["failure-cause"]
                    raise Refused(str(cause.get("stack-trace", cause))[:2000])
                return str(operation["location"])
            time.sleep(0.2)
        raise Refused(f"the savepoint is not complete after {patience:.0f} s")

    def cancel(self, job: str) -> None:
        """Cancel a job; its last checkpoint is kept."""
        self._ask(f"/jobs/{job}?mode=cancel", "PATCH")

    def exceptions(self, job: str) -> list[str]:
        """Why it restarted, the newest first."""
        history = self.get(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return [str(entry["stacktrace"]) for entry in history]

    def _ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/json"} if body else {}
        request = Request(  # noqa: S310 the address is our own cluster's
            f"{self.address}{path}", body, headers, method=method
        )
        try:
            with urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            raise Refused(f"{request.full_url}: {error.code} {_reason(error.read())}") from error
        except (URLError, OSError) as error:
            raise Refused(f"{request.full_url}: {error}") from error


def _reason(answer: bytes) -> str:
    """The last cause of a Java stack trace, without the trace."""
    text = answer.decode(errors="replace").replace("\\n", "\n")
    causes = [line for line in text.splitlines() if "\\tat " not in line and line.strip()]
    return "; ".join(causes)[:2000]
