"""A strict Kinesis in memory: real rules for shards, iterators and limits; no network."""

import hashlib
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from eddyline.io.kinesis.get_records import Answer, Record
from eddyline.io.kinesis.reader import KinesisReader, Reading
from eddyline.io.kinesis.shards import first_progress, shard_of

KEYS = 2**128


def refusal(code, operation="GetRecords", status=400):
    metadata = {"HTTPStatusCode": status}
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": metadata}, operation
    )


class FakeKinesis:
    """Time is `now` (s); it moves when a test moves it, or by `tick` with every request."""

    def __init__(self, shards=1, tick=0.0):
        self.now, self.tick, self.number = 1_000_000.0, tick, 1000
        self.shards, self.records, self.calls = {}, {}, []
        self.trouble = lambda *_: None
        self.most = 10_000
        for n in range(shards):
            self._open(n * KEYS // shards, (n + 1) * KEYS // shards - 1)

    # What a producer and an operator do.

    def _open(self, low, high, *parents):
        name = f"shardId-{len(self.shards):012d}"
        self.shards[name] = SimpleNamespace(
            name=name, low=low, high=high, parents=parents, end=None
        )
        self.records[name] = []
        return name

    def put(self, key, data, at=None):
        place = int(hashlib.md5(key.encode()).hexdigest(), 16)
        shard = next(s for s in self.shards.values() if s.end is None and s.low <= place <= s.high)
        self.number += 1
        record = Record(str(self.number), data, key, self.now if at is None else at)
        self.records[shard.name].append(record)
        return shard.name

    def _close(self, name):
        shard = self.shards[name]
        assert shard.end is None
        self.number += 1
        shard.end = self.number
        return shard

    def split(self, name):
        shard = self._close(name)
        middle = (shard.low + shard.high) // 2
        return self._open(shard.low, middle, name), self._open(middle + 1, shard.high, name)

    def merge(self, one, other):
        first, second = self._close(one), self._close(other)
        assert first.high + 1 == second.low
        return self._open(first.low, second.high, one, other)

    @property
    def open_shards(self):
        return sorted((s for s in self.shards.values() if s.end is None), key=lambda s: s.low)

    # What the service answers.

    def _called(self, call, shard):
        self.now += self.tick
        self.calls.append((call, shard, self.now))
        error = self.trouble(call, shard)
        if error is not None:
            raise error

    def listed(self):
        self._called("list", None)
        entries = []
        for shard in self.shards.values():
            entry = {
                "ShardId": shard.name,
                "HashKeyRange": {"StartingHashKey": str(shard.low)},
                "SequenceNumberRange": {"StartingSequenceNumber": "0"},
            }
            if shard.end is not None:
                entry["SequenceNumberRange"]["EndingSequenceNumber"] = str(shard.end)
            names = ("ParentShardId", "AdjacentParentShardId")
            entry |= dict(zip(names, shard.parents, strict=False))
            entries.append(shard_of(entry))
        return entries

    def get_shard_iterator(self, **where):
        assert where["StreamName"] == "s"
        name = where["ShardId"]
        self._called("iterator", name)
        if name not in self.shards:
            raise refusal("ResourceNotFoundException", "GetShardIterator")
        after = {
            "TRIM_HORIZON": lambda: 0,
            "AFTER_SEQUENCE_NUMBER": lambda: int(where["StartingSequenceNumber"]),
            "AT_TIMESTAMP": lambda: max(
                (
                    int(r.SequenceNumber)
                    for r in self.records[name]
                    if r.ApproximateArrivalTimestamp < where["Timestamp"]
                ),
                default=0,
            ),
        }[where["ShardIteratorType"]]()
        return {"ShardIterator": f"{name}/{after}/{self.now}"}

    def get_records(self, **wanted):
        name, after, made = wanted["ShardIterator"].split("/")
        self._called("records", name)
        if name not in self.shards:
            raise refusal("ResourceNotFoundException")
        if self.now - float(made) > 300:
            raise refusal("ExpiredIteratorException")
        rest = [r for r in self.records[name] if int(r.SequenceNumber) > int(after)]
        most = min(wanted["Limit"], self.most)
        given, left = rest[:most], rest[most:]
        last = given[-1].SequenceNumber if given else after
        more = left or self.shards[name].end is None
        behind = 0
        if left:
            behind = max(1, round((self.now - left[0].ApproximateArrivalTimestamp) * 1000))
        token = f"{name}/{last}/{self.now}" if more else None
        return {"answer": Answer(given, token, behind), "ResponseMetadata": self._metadata()}

    def _metadata(self):
        return {"HTTPHeaders": {"date": formatdate(int(self.now), usegmt=True)}}

    def close(self):
        pass

    # What the reader of it is.

    def reader(self, page=10_000, rows=500):
        reading = Reading("kinesis:s", {"StreamName": "s"}, rows, 0.25, page)
        return KinesisReader(reading, self, lambda: self.now, self.listed)

    def start(self, place="TRIM_HORIZON"):
        return first_progress(self.listed(), place)


@pytest.fixture(scope="session")
def fake():
    return FakeKinesis


@pytest.fixture(scope="session")
def refuse():
    return refusal
