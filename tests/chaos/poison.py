"""Messages that would hurt a careless reader; none of them can be a reading."""

import gzip
import json
from datetime import UTC, datetime

import numpy as np
from chaos.feed import Outgoing

from eddyline.io.kinesis.aggregated import MAGIC
from eddyline.io.simulate.malformed import SINGLE_KINDS, malformed

MIB = 2**20


def poison(at, largest=MIB - 64):
    """One message of every kind there is, as of a time in seconds; `largest` bytes at most."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat()
    whole = {
        "device_id": '"d00"',
        "timestamp": f'"{stamp.replace("+00:00", "Z")}"',
        "temperature": "20.5",
        "humidity": "50.0",
        "pressure": "1013.0",
    }
    rng = np.random.default_rng(5)
    payloads = [malformed(kind, whole, rng) for kind in SINGLE_KINDS]

    def with_(**changed):
        return json.dumps(
            {"device_id": "d00", "timestamp": stamp, "temperature": 20.5, **changed}
        ).encode()

    payloads += [
        b"x" * largest,
        b'{"device_id":"d00","note":"' + b"y" * (largest - 40) + b'"}',
        gzip.compress(bytes(60 * MIB)),  # a bomb: 60 KB on the wire
        gzip.compress(b'{"device_id":"d00"')[:-4],
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\x00" * 1_000,
        b"\x00" * 4_096,
        with_(device_id="d" * 10_000),
        with_(device_id="d\x00\x1b[2J"),
        with_(temperature=float("nan")),
        with_(timestamp="9999-12-31T23:59:59Z"),
        with_(timestamp=-(2**70)),
        with_(timestamp=10**300),
        b'{"device_id":"d00","timestamp":' + b"9" * 5_000 + b"}",
        b"[" + b",".join([b"{}"] * 10_001) + b"]",
        MAGIC + bytes(20),
        b"Obj\x01" + b"\xff" * 200,  # a container of Avro, it says
    ]
    # The key is no reading's device: nobody's order depends on it.
    return [Outgoing(f"poison-{n}", p, "dead letter") for n, p in enumerate(payloads)]
