"""Kinesis on loopback for a live run: moto in a process of its own.

`python -m eddyline.pipeline.live.moto` prints its port and serves until its standard input ends.
"""

import logging
import sys
import time
from itertools import islice
from threading import Thread
from typing import Any

KEPT = 600.0  # s that a record stays: far longer than the job is ever behind
SWEEP = 10.0  # s


def main() -> None:
    """Serve."""
    from moto.kinesis.models import Shard
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # moto's own look at all records of the shard for each one that is put and each look at the
    # shard, and fail where one is put meanwhile.
    patched: Any = Shard
    patched.get_max_sequence_number = _last
    patched.get_records = _records
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    Thread(target=_sweep, daemon=True).start()
    sys.stdin.read()
    server.stop()


def _last(shard: Any) -> int:
    newest: list[int] = list(islice(reversed(shard.records), 1))
    return newest[0] if newest else 0


def _records(shard: Any, last_sequence_id: str, limit: int | None) -> tuple[list[Any], int, int]:
    """The records after that number: moto counts them from 1."""
    records, last = shard.records, int(last_sequence_id)
    newest = _last(shard)
    numbers = range(max(last + 1, shard.__dict__.get("oldest", 1)), newest + 1)[:limit]
    found = [records[number] for number in numbers]
    if not found:
        return [], last, 0
    behind = records[newest].created_at - found[-1].created_at
    return found, numbers[-1], int(behind * 1000)


def _sweep() -> None:
    """Forget old records: moto keeps all."""
    from moto.kinesis.models import kinesis_backends

    while True:
        time.sleep(SWEEP)
        for account in list(kinesis_backends.values()):
            for backend in list(account.values()):
                for stream in list(backend.streams.values()):
                    for shard in list(stream.shards.values()):
                        _forget(shard, time.time() - KEPT)


def _forget(shard: Any, before: float) -> None:
    number, newest = shard.__dict__.get("oldest", 1), _last(shard)
    while number < newest and shard.records[number].created_at < before:
        shard.oldest = number + 1  # first, so that nobody looks for what is gone
        del shard.records[number]
        number += 1


if __name__ == "__main__":
    main()
