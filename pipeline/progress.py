"""Progress of a run on standard error: its counters, or where it runs if that is not here."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

THREAD = "progress"
STEPS = (("messages", "decoded messages"), ("readings", "scored readings"))


@contextmanager
def progress(
    counts: Callable[[], dict[str, int]], total: int | None = None, console: Console | None = None
) -> Generator[None]:
    """Show how far the job is, from its counters, until the block ends.

    On a terminal there is a bar a step, elsewhere a line every ten seconds for the log.

    Args:
        counts: Reads the counters.
        total: How many messages there will be, if that is known.
        console: Where; standard error by default.
    """
    console = console or Console(stderr=True)
    done = Event()
    show = _bars if console.is_terminal else _lines
    thread = Thread(target=show, args=(counts, total, console, done), name=THREAD, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def on_cluster(address: str, console: Console | None = None) -> Generator[None]:
    """Say where the job runs; its counters are there, and in this process they would stay at 0.

    Args:
        address: The cluster's pages.
        console: Where; standard error by default.
    """
    console = console or Console(stderr=True)
    words = f"The job goes to the cluster of {address}, which shows its progress."
    console.print(f"{words} Ctrl-C leaves it there.", highlight=False, soft_wrap=True)
    yield


def left_on_cluster(address: str) -> str:
    """What to tell who has left a job on a cluster."""
    return (
        f"Left. What the cluster of {address} was given goes on there. End it on the cluster's "
        "pages, or, on a cluster of `make flink-up`, with `python -m deploy.flink savepoint` (it "
        "can go on from there) or, once its stream has ended, `python -m deploy.flink drain`."
    )


def _bars(
    counts: Callable[[], dict[str, int]], total: int | None, console: Console, done: Event
) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TextColumn("{task.completed:>11,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {name: bars.add_task(words, total=total) for name, words in STEPS}
        running = True
        while running:
            running = not done.wait(0.2)
            now = counts()
            for name, task in tasks.items():
                bars.update(task, completed=now.get(name, 0))
        for name, task in tasks.items():
            reached = counts().get(name, 0)
            bars.update(task, total=reached, completed=reached)


def _lines(
    counts: Callable[[], dict[str, int]], total: int | None, console: Console, done: Event
) -> None:
    of = f" of {total:,}" if total else ""
    while not done.wait(10):
        now = counts()
        said = f"{now.get('messages', 0):,}{of} messages decoded"
        console.print(f"… {said}, {now.get('readings', 0):,} readings scored", highlight=False)
