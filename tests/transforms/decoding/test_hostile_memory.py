"""Memory stays bounded, whatever the messages claim, hold or unpack to.

Measured as the peak of a process for each batch: what C libraries allocate counts too.
"""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import gzip, json, os, random, resource, sys

from eddyline.schemas.message import Message, message_batch
from eddyline.schemas.record import load_contract
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import PayloadParser

MIB = 2**20
ARRIVAL = 1_767_312_000_000_000
READING = b'{"device_id":"a","event_time":1767311999,"x":"'
LONG = READING + b"y" * (MIB - len(READING) - 10) + b'"}'
room = load_contract("room")
decoder = Decoder(room, PayloadParser(room))


def objects(number):
    return b"[" + b",".join([b"{}"] * number) + b"]"


BATCHES = {
    "plain": lambda: [b" " * 10_000_000] * 2,
    "one huge text": lambda: [READING + b"y" * 10_000_000 + b'"}'] * 2,
    "noise": lambda: [random.Random(1).randbytes(10_000_000)] * 2,
    "empty objects": lambda: [objects(100_000)] * 30,
    "deep": lambda: [b"[" * MIB, b'{"x":' * (MIB // 5)] * 4,
    "bombs": lambda: [gzip.compress(bytes(10_000_000))] * 500,
    "bombs just small enough": lambda: [gzip.compress(LONG)] * 200,
    "bombs of dead letters": lambda: [gzip.compress(b"[" + LONG[2:] + b"]")] * 100
    + [gzip.compress(b"[" + LONG.replace(b"device_id", b"d") + b"]")] * 200,
    "bombs of empty objects": lambda: [gzip.compress(objects(10_000))] * 40,
}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def measure(name):
    batch = message_batch(Message(p, "test", "0", ARRIVAL) for p in BATCHES[name]())
    before = peak()
    rows = sum(d.readings.num_rows + d.dead_letters.num_rows for d in decoder.decode(batch))
    return json.dumps([name, rows, round(peak() - before)])


for name in BATCHES:  # each in a child, whose peak is its own
    if not os.fork():
        print(measure(name), flush=True)
        os._exit(0)
    os.wait()
"""
ROWS = {
    "plain": 2,
    "one huge text": 2,
    "noise": 2,
    "empty objects": 30,
    "deep": 8,
    "bombs": 500,
    "bombs just small enough": 200,
    "bombs of dead letters": 300,
    "bombs of empty objects": 400_000,
}


@pytest.mark.job
def test_a_batch_takes_at_most_128_mib_more_than_its_messages():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    measured = [json.loads(line) for line in run.stdout.splitlines()]
    assert {name: rows for name, rows, _ in measured} == ROWS
    more = {name: mib for name, _, mib in measured}
    print(more)
    assert max(more.values()) < 128, more
