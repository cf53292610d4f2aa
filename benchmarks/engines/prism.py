"""Prism: a new one for each job; the process that has the job is its worker."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engines.engine import Engine, Running, Unavailable
from eddyline.pipeline.live.child import Child, free_port
from eddyline.pipeline.prism import NoPrism, get_prism

START = 60.0  # s


@contextmanager
def prism(folder: Path, tell: Callable[[str], None]) -> Generator[Engine]:
    """The engine.

    Raises:
        Unavailable: There is no Prism here.
    """
    try:
        binary = get_prism(tell)
    except NoPrism as error:
        raise Unavailable(str(error)) from error

    @contextmanager
    def start() -> Generator[Running]:
        port = free_port()
        command = [str(binary), f"--job_port={port}", "--serve_http=false", "--log_kind=json"]
        child = Child("Prism", [*command, "--log_level=warn"], folder / "prism.log")
        try:
            child.await_port(port, START)
            flags = ["--runner=PrismRunner", f"--job_endpoint=localhost:{port}"]
            yield Running(flags, [child.process.pid], lambda job: [job], lambda: None)
        finally:
            child.end()

    yield Engine("Prism", "Prism (Beam 2.77)", start)
