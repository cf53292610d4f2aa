"""Where a worker's processor time goes: samples of its threads' stacks, weighed by what they used.

Beam's worker runs bundles in threads of its own, which cProfile does not see.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EVERY = 0.01  # s
SHOWN = 40


class Samples:
    """Processor time by function, with all that it called and without."""

    def __init__(self) -> None:
        self.within: Counter[str] = Counter()
        self.own: Counter[str] = Counter()
        self._before: dict[int, int] = {}

    def take(self) -> None:
        """Give each thread's time since the last sample to the functions that it is in."""
        frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] the only way
        for thread in threading.enumerate():
            frame = frames.get(thread.ident or 0)
            if frame is None or thread.native_id is None:
                continue
            used = _nanoseconds(thread.native_id)
            spent = used - self._before.get(thread.native_id, used)
            self._before[thread.native_id] = used
            if spent > 0 and thread is not threading.current_thread():
                self._add(frame, spent)

    def _add(self, frame: FrameType | None, spent: int) -> None:
        names: list[str] = []
        while frame is not None:
            names.append(_name(frame))
            frame = frame.f_back
        for name in set(names):
            self.within[name] += spent
        self.own[names[0]] += spent

    def text(self) -> str:
        """The functions that most time went to; seconds."""
        lines = [f"{sum(self.own.values()) / 1e9:8.2f} s in threads with Python frames"]
        for title, counted in (("with what it called", self.within), ("own", self.own)):
            lines.append(f"-- {title}")
            lines += [f"{spent / 1e9:8.2f} {name}" for name, spent in counted.most_common(SHOWN)]
        return "\n".join(lines) + "\n"


def _nanoseconds(thread: int) -> int:
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-3:])}:{code.co_name}"


@contextmanager
def sampled(path: str) -> Generator[None]:
    """Write what a block's threads did to a file, again and again; nothing where there is none."""
    if not path:
        yield
        return
    samples, over = Samples(), threading.Event()

    def sample() -> None:
        written = time.monotonic()
        while not over.wait(EVERY):
            samples.take()
            if time.monotonic() - written > 1:
                written = time.monotonic()
                Path(path).write_text(samples.text(), encoding="utf-8")

    thread = threading.Thread(target=sample, name="samples", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        Path(path).write_text(samples.text(), encoding="utf-8")
