"""A Kinesis on loopback that is no bottleneck: a prepared stream over the service's own protocol.

`python -m benchmarks.engines.stream_server JSON` prints its port, and serves until its standard
input ends. moto gives out 3,700 records a second on a core, and 30,000 are to be measured.

It answers ListShards, GetShardIterator and GetRecords of one stream as the service does, and holds
its limit for a consumer: 2 MB a second and shard, as 400 kB an answer at five answers a second.
Anything else is refused: an unknown action, argument, stream, shard or kind of iterator.
"""

import json
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
import numpy as np

from benchmarks.engines.workload import FIRST_NUMBER, Shard, Workload, stream

STREAM = "bench"
ANSWER_BYTES = 400_000
TARGET = "Kinesis_20131202."
_ALLOWED = {
    "ListShards": {"StreamName"},
    "GetShardIterator": {
        "StreamName",
        "ShardId",
        "ShardIteratorType",
        "StartingSequenceNumber",
        "Timestamp",
    },
    "GetRecords": {"ShardIterator", "Limit"},
}


class Serving(msgspec.Struct, frozen=True):
    """What the server is told.

    Args:
        workload: What is in the stream.
        start: Event time of the first round, seconds since the epoch.
        live: Whether a record is there once the clock has come to its arrival. Else all are there,
            but for those that are held, and the reader is told that it is behind also at the end: a
            stream of old records that goes idle would put all that waits in order, and every
            device would be silent.
        held_from: Records that arrive from then on are held until `release` is said; None for none.
        port: Of the loopback interface; 0 for any that is free.
    """

    workload: Workload
    start: float
    port: int = 0
    live: bool = False
    held_from: float | None = None


class Refused(Exception):
    """A request that this server does not answer, with the service's word for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Stream:
    """A stream and how much of it is there by now.

    Guarantee: a record that is not there yet is never given.

    Args:
        shards: Its records.
        horizon: Gives the arrival time up to which records are there.
        idle: Whether a reader that has read all is told so.
    """

    shards: list[Shard]
    horizon: Callable[[], float]
    idle: bool

    def answer(self, action: str, asked: Mapping[str, Any]) -> bytes:
        """The body of an answer.

        Raises:
            Refused: The request is none of the three, or makes no sense.
        """
        if action not in _ALLOWED:
            raise Refused("UnknownOperationException", f"{action} is not served here")
        if unknown := sorted(set(asked) - _ALLOWED[action]):
            raise Refused("ValidationException", f"{action}: {unknown[0]} is not served here")
        if "StreamName" in _ALLOWED[action] and asked.get("StreamName") != STREAM:
            raise Refused("ResourceNotFoundException", f"no stream {asked.get('StreamName')!r}")
        if action == "ListShards":
            return self._listed()
        if action == "GetShardIterator":
            return self._iterator(asked)
        return self._records(asked)

    def _listed(self) -> bytes:
        step = 2**128 // len(self.shards)
        entries = [
            {
                "ShardId": f"shardId-{number:012d}",
                "HashKeyRange": {
                    "StartingHashKey": str(number * step),
                    "EndingHashKey": str((number + 1) * step - 1),
                },
                "SequenceNumberRange": {"StartingSequenceNumber": str(FIRST_NUMBER)},
            }
            for number in range(len(self.shards))
        ]
        return json.dumps({"Shards": entries}).encode()

    def _iterator(self, asked: Mapping[str, Any]) -> bytes:
        names = [f"shardId-{number:012d}" for number in range(len(self.shards))]
        if asked.get("ShardId") not in names:
            raise Refused("ResourceNotFoundException", f"no shard {asked.get('ShardId')!r}")
        number, kind = names.index(asked["ShardId"]), asked.get("ShardIteratorType")
        if kind == "TRIM_HORIZON":
            at = 0
        elif kind == "AFTER_SEQUENCE_NUMBER":
            at = int(asked["StartingSequenceNumber"]) - FIRST_NUMBER + 1
        elif kind == "AT_TIMESTAMP":
            at = bisect_left(self.shards[number].arrivals, asked["Timestamp"])
        else:
            raise Refused("ValidationException", f"iterator {kind!r} is not served here")
        if not 0 <= at <= len(self.shards[number].records):
            raise Refused("InvalidArgumentException", "a sequence number of another stream")
        return json.dumps({"ShardIterator": f"{number}:{at}"}).encode()

    def _records(self, asked: Mapping[str, Any]) -> bytes:
        try:
            number, at = map(int, asked["ShardIterator"].split(":"))
            shard, limit = self.shards[number], int(asked.get("Limit", 10_000))
        except (KeyError, ValueError, IndexError) as error:
            raise Refused("InvalidArgumentException", f"no such iterator ({error})") from error
        horizon = self.horizon()
        there = bisect_right(shard.arrivals, horizon)
        full = int(np.searchsorted(shard.sizes, shard.sizes[at] + ANSWER_BYTES, "right")) - 1
        # One record at least, however large.
        end = max(at, min(there, at + limit, max(full, at + 1)))
        behind = 0
        if end < there:
            behind = round(1000 * (shard.arrivals[there - 1] - shard.arrivals[end]))
        if end < there or not self.idle:
            behind = max(1, behind)
        return b'{"NextShardIterator":"%d:%d","MillisBehindLatest":%d,"Records":[%s]}' % (
            number,
            end,
            behind,
            b",".join(shard.records[at:end]),
        )


def handler(served: Stream) -> type[BaseHTTPRequestHandler]:
    """What answers HTTP requests for a stream."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave as two packets, and the second would wait for the first one's receipt.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            target = self.headers.get("X-Amz-Target", "")
            length = int(self.headers.get("Content-Length", 0))
            try:
                asked = json.loads(self.rfile.read(length) or b"{}")
                if not target.startswith(TARGET):
                    raise Refused("UnknownOperationException", f"no action in {target!r}")
                status, body = 200, served.answer(target.removeprefix(TARGET), asked)
            except Refused as error:
                status, body = (
                    400,
                    json.dumps({"__type": error.kind, "message": str(error)}).encode(),
                )
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def serve(serving: Serving) -> tuple[ThreadingHTTPServer, Callable[[], None]]:
    """A server that runs, and what releases the records that are held."""
    held = serving.held_from

    def horizon() -> float:
        if serving.live:
            return time.time()
        return float("inf") if held is None else held

    def release() -> None:
        nonlocal held
        held = None

    served = Stream(stream(serving.workload, serving.start), horizon, serving.live)
    server = ThreadingHTTPServer(("127.0.0.1", serving.port), handler(served))
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    return server, release


def main() -> None:
    """Serve what the first argument says."""
    server, release = serve(msgspec.json.decode(sys.argv[1], type=Serving))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() != "release":
            sys.exit(f"no such word: {line.strip()!r}")
        release()


if __name__ == "__main__":
    main()
