"""A small engine in processes that kill themselves: runs Gather and Commit as Beam would.

It holds each step's state by key, as bytes, and makes it durable in one atomic rename: after every
bundle ("bundle"), or only at checkpoints ("checkpoint"). It tells that a checkpoint is complete
some bundles later, by calling the callbacks of all bundles that have ended by then, as Flink does.

Each attempt is a process of its own (forked, so that the imports are paid once): it goes on from
what is durable and cuts the source into other batches than the one before. Between two attempts
the table is compacted, so that a file added twice would show.
"""

import json
import os
import pickle
import random
import signal
import sys
import traceback
from pathlib import Path

import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from deltalake import DeltaTable

from eddyline.io.lake.commit import Commit, CommitOnCheckpoint
from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.gather import Gather
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.read import open_table
from eddyline.io.lake.tables import Table
from eddyline.schemas.ipc import encode_batch

SCHEMA = pa.schema([("id", pa.int64()), ("event_time", pa.timestamp("us", "UTC"))])
TABLE = Table("readings", SCHEMA, "event_time")


class Cell:
    def __init__(self, cells, name):
        self.cells, self.name = cells, name

    def read(self):
        return self.cells.get(self.name)

    def write(self, value):
        self.cells[self.name] = value


class Bag(Cell):
    def read(self):
        return list(self.cells.get(self.name, ()))

    def add(self, value):
        self.cells[self.name] = (*self.cells.get(self.name, ()), value)

    def clear(self):
        self.cells.pop(self.name, None)


class Timer:
    def set(self, when):
        pass


class Engine:
    def __init__(self, lake, durability, rows, seed, point, count):
        self.rows, self.durability, self.cuts = rows, durability, random.Random(seed)
        self.point, self.left = point, count
        self.durable = Path(lake) / "durable.pickle"
        kept = pickle.loads(self.durable.read_bytes()) if self.durable.exists() else (0, {})
        self.offset, self.cells = kept
        self.asked, self.callbacks, self.untold = [], [], False
        targets = {"readings": TABLE}
        self.gather = Gather(lake, targets, flush_seconds=4, flush_bytes=5_000)
        on_checkpoint = durability == "checkpoint"
        self.commit = (CommitOnCheckpoint if on_checkpoint else Commit)(lake, targets, True)
        self.commit.setup()

    def passing(self, name):
        self.left -= name == self.point
        if name == self.point and self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep(self):
        self.passing("before checkpoint")
        fresh = self.durable.with_suffix(".new")
        fresh.write_bytes(pickle.dumps((self.offset, self.cells)))
        fresh.rename(self.durable)
        self.passing("after checkpoint")
        self.untold = True

    def tell(self):
        callbacks, self.callbacks, self.untold = self.callbacks, [], False
        for callback in callbacks:
            callback()
        self.passing("told")

    def bundle(self, work, *arguments):
        self.commit.start_bundle()
        work(*arguments)
        self.callbacks += self.asked
        self.asked = []
        if self.durability == "bundle":
            self.keep()
        elif self.untold:
            # One checkpoint at a time, and a pause between two.
            if self.cuts.random() < 0.4:
                self.tell()
        elif self.cuts.random() < 0.3:
            self.keep()

    def took(self, outputs):
        self.asked += [one.value for one in outputs if isinstance(one, TaggedOutput)]

    def number(self, files):
        for element in files:
            self.passing("file written")
            pending = Cell(self.cells, "pending")
            self.took(self.commit.process(element, pending, Timer(), Timer()))
            self.passing("numbered")

    def take(self):
        size = min(self.cuts.randint(1, 120), self.rows - self.offset)
        ids = list(range(self.offset, self.offset + size))
        batch = pa.record_batch({"id": ids, "event_time": ids}, schema=SCHEMA)
        element = ("readings/0", encode_batch(batch))
        bag, count = Bag(self.cells, "bag"), Cell(self.cells, "size")
        self.number(self.gather.process(element, bag, count, Timer(), Timer()))
        self.offset += size

    def flush(self, fire):
        self.number(fire("readings/0", Bag(self.cells, "bag"), Cell(self.cells, "size")))

    def settle(self, fire):
        self.took(fire("readings", Cell(self.cells, "pending"), Timer()))

    def take_and_settle(self):
        # Dataflow hands elements and timers of a key to one bundle.
        self.take()
        self.settle(self.commit.on_soon)

    def run(self):
        while self.offset < self.rows:
            self.bundle(self.cuts.choice((self.take, self.take_and_settle)))
            if self.cuts.random() < 0.5:
                self.bundle(self.flush, self.gather.on_soon)
            if self.cuts.random() < 0.5:
                self.bundle(self.settle, self.commit.on_soon)
        self.bundle(self.flush, self.gather.on_end)
        self.bundle(self.settle, self.commit.on_end)
        while Pending.decode(self.cells["pending"]).files:
            self.bundle(self.settle, self.commit.on_end)


def attempt(lake, durability, rows, seed, point, count):
    engine = Engine(lake, durability, rows, seed, point, count)
    append = DeltaLog.append

    def watched(self, job, files):
        engine.passing("before commit")
        added = append(self, job, files)
        engine.passing("after commit")
        return added

    DeltaLog.append = watched
    engine.run()


def merge(lake):
    if DeltaTable.is_deltatable(f"{lake}/readings"):
        open_table(lake, "readings").optimize.compact()


def in_a_process(work, *arguments):
    child = os.fork()
    if not child:
        code = 1
        try:
            work(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(lake, durability, rows, kills):
    ended = []
    for seed, (point, count) in enumerate(kills):
        ended.append(in_a_process(attempt, lake, durability, rows, seed, point, count))
        assert in_a_process(merge, lake) == 0
    json.dump(ended, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
