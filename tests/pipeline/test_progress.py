"""Progress: bars on a terminal, lines in a log, gone when the run is."""

import io
import threading

import pytest
from rich.console import Console

from eddyline.pipeline.progress import THREAD, left_on_cluster, on_cluster, progress


def showing() -> bool:
    """Whether a progress thread is alive; rich's own refresher may take a moment longer."""
    return any(thread.name == THREAD for thread in threading.enumerate())


@pytest.mark.parametrize("terminal", [True, False])
def test_the_last_counts_are_shown_and_the_thread_ends(terminal):
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=terminal, width=100)
    counts: dict[str, int] = {}
    with progress(lambda: counts, total=5000, console=console):
        assert showing()
        counts.update(messages=5000, readings=4321)
    assert not showing()
    assert ("4,321" in sink.getvalue()) == terminal


def test_the_thread_ends_when_the_run_fails():
    with pytest.raises(RuntimeError), progress(dict, console=Console(file=io.StringIO())):
        raise RuntimeError("no")
    assert not showing()


def test_of_a_job_on_a_cluster_no_counts_are_invented():
    sink = io.StringIO()
    with on_cluster("http://127.0.0.1:8081", Console(file=sink, width=60)):
        assert not showing()
    assert "http://127.0.0.1:8081" in sink.getvalue()
    assert "0 messages" not in sink.getvalue()


def test_who_leaves_a_cluster_is_told_that_the_job_goes_on_and_how_to_end_it():
    told = left_on_cluster("http://127.0.0.1:8081")
    assert "goes on" in told
    assert "deploy.flink savepoint" in told
