"""The real job on Prism, started and drained as a user does, and the lake that it writes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
from chaos.waiting import wait_until
from deltalake.exceptions import DeltaError

from eddyline.io.lake.read import open_table, raw_files, read_raw

ROOT = Path(__file__).parents[2]
START = 90.0  # s
DRAIN = 120.0  # s
COUNTED = {
    "messages": r"([\d,]+)\s+messages in ",
    "readings": r"[=≠] ([\d,]+)\s+readings",
    "duplicates": r"\+ ([\d,]+)\s+duplicates",
    "filtered": r"\+ ([\d,]+)\s+filtered",
    "dead_letters": r"\+ ([\d,]+)\s+dead letters",
}


class Running:
    """One job; `lake` is where it writes, `log` what it says while it runs.

    Args:
        prism: Its engine.
        folder: For its files; the lake is in it unless another is named.
        source: As `--source` takes it.
        environment: Variables of the job's process alone.
        settings: Further flags.
        lake: Where the lake is.
    """

    def __init__(self, prism, folder, source, environment=None, settings=(), lake=None):
        self.folder = folder
        self.lake = str(lake or folder / "lake")
        self.log, self._said = folder / "job.log", folder / "job.out"
        self.stop_file = folder / "stop"
        flags = ["--runner=PrismRunner", f"--prism_location={prism}", f"--source={source}"]
        flags += [f"--lake={self.lake}", f"--stop-file={self.stop_file}"]
        self.command = [sys.executable, "-m", "eddyline.pipeline", "run", *flags, *settings]
        self.environment = {**os.environ, **(environment or {}), "COLUMNS": "200"}
        self.process = None
        self.counts = None

    def start(self, check=lambda: None):
        """Start it, and wait until it reads: the lake has raw messages.

        Args:
            check: Raises where nothing is sent, such as `feed.check`.
        """
        with self.log.open("ab") as log, self._said.open("ab") as said:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=log,
                start_new_session=True,  # Prism is in it as well
            )
        self.until(lambda: check() or self.messages(), START, "the first messages")
        return self

    def until(self, condition, seconds, what):
        """Wait for something while the job lives."""

        def holds():
            assert self.process.poll() is None, f"the job ended by itself:\n{self.words()}"
            return condition()

        return wait_until(holds, seconds, lambda: f"{what}\n{self.words()}", 0.5)

    def words(self):
        """The last of what it said."""
        return self.log.read_text(errors="replace")[-4000:]

    def settled(self, feed, seconds=120, but=frozenset(), lost=0):
        """Wait until all that a feed (stopped) sent is in the lake.

        Args:
            feed: What was sent.
            seconds: How long.
            but: Readings that are not waited for.
            lost: How many messages will never come.
        """
        missing = set(feed.sent) - set(but)

        def settled():
            missing.difference_update(self.readings())
            return not missing and self.messages() >= feed.messages - lost

        told = f"{len(feed.sent)} readings of {feed.messages} messages in the lake"
        self.until(settled, seconds, told)

    def drain(self):
        """End its source; it has to end by itself and well. Gives its final counts."""
        self.stop_file.touch()
        try:
            code = self.process.wait(DRAIN)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not drained in {DRAIN:g} s:\n{self.words()}") from None
        said = self._said.read_text()
        assert code == 0, f"{said}\n{self.words()}"
        found = {name: re.search(pattern, said) for name, pattern in COUNTED.items()}
        self.counts = {n: int(m[1].replace(",", "")) if m else 0 for n, m in found.items()}
        assert self.counts["messages"], said
        return self.counts

    def close(self):
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    # What is in the lake, straight from it: nothing stands between it and us.

    def table(self, name, columns=None) -> pa.Table:
        return open_table(self.lake, name).to_pyarrow_table(columns=columns)

    def readings(self):
        """Device and event time (µs) of every reading that is there; once, however often it is."""
        try:
            rows = self.table("readings", ["device_id", "event_time"])
        except (DeltaError, OSError):
            return set()
        times = rows["event_time"].cast(pa.int64()).to_pylist()
        return set(zip(rows["device_id"].to_pylist(), times, strict=True))

    def messages(self):
        """How many raw messages are there."""
        try:
            return sum(file.rows for file in raw_files(self.lake))
        except (DeltaError, OSError):
            return 0

    def raw(self):
        return [row for batch in read_raw(self.lake) for row in batch.to_pylist()]

    def behind(self, feed, forgiven=frozenset(), device=None):
        """Age in seconds of the oldest reading that was sent and is not in the lake.

        Args:
            feed: What was sent.
            forgiven: Readings that do not count.
            device: Says of each device whether its readings count; None for all.
        """
        now = time.time()
        sent = [
            (at, one)
            for one, at in list(feed.sent.items())
            if (device is None or device(one[0])) and one not in forgiven
        ]
        there = self.readings()
        return now - min((at for at, one in sent if one not in there), default=now)
