"""The stream of the benchmark, read by the real reader through boto3."""

import time
from itertools import islice

import pytest

from benchmarks.engines.stream_server import ANSWER_BYTES, STREAM, Serving, serve
from benchmarks.engines.workload import ON_ITS_WAY, Workload
from eddyline.io.kinesis.source import Kinesis
from eddyline.pipeline.live.emulators import AWS

WORKLOAD = Workload(readings=4_000, devices=40, cadence=1.0, per_message=1, shards=4)


@pytest.fixture
def serving(monkeypatch):
    servers = []

    def start(**given):
        server, release = serve(Serving(WORKLOAD, **given))
        servers.append(server)
        for name, value in AWS.items():
            monkeypatch.setenv(name, value)
        port = server.server_address[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", f"http://127.0.0.1:{port}")
        return release

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def polls(source, progress=None):
    reader = source.open(time.monotonic)
    try:
        progress = progress or source.start()
        while True:
            polled = reader.poll(progress)
            progress = polled.progress
            yield polled
            time.sleep(polled.wait)
    finally:
        reader.close()


def taken(read, messages):
    """What came until it was so many messages; a shard is looked at no more than is allowed."""
    found = []
    for polled in islice(read, 20):
        found += payloads(polled)
        if len(found) >= messages:
            return found, polled
    raise AssertionError(f"{len(found)} of {messages}")


def payloads(polled):
    return [row for batch in polled.batches for row in batch["payload"].to_pylist()]


def test_the_reader_gets_every_message_once_and_of_a_live_stream_is_told_its_end(serving):
    serving(start=time.time() - WORKLOAD.seconds - 10.0, live=True)
    read = polls(Kinesis(STREAM))
    found, _ = taken(read, WORKLOAD.messages)
    after = [next(read) for _ in range(3)]
    assert len(found) == len(set(found)) == WORKLOAD.messages
    assert not [payload for each in after for payload in payloads(each)]
    assert {milliseconds for each in after for milliseconds in each.behind} == {0}


def test_a_backlog_has_no_end_so_that_nobody_takes_it_for_idle(serving):
    serving(start=1_000.0)
    read = polls(Kinesis(STREAM))
    taken(read, WORKLOAD.messages)
    after = [next(read) for _ in range(3)]
    seen = [partition.seen for partition in after[-1].progress.partitions.values()]
    assert 1_099_000_000 < max(seen) < 1_101_000_000


def test_what_is_held_comes_after_its_release_and_the_reader_is_behind_until_then(serving):
    release = serving(start=1_000.0, held_from=1_050.0 + ON_ITS_WAY)
    read = polls(Kinesis(STREAM))
    before, _ = taken(read, 50 * 40)
    held = [next(read) for _ in range(3)]
    assert not [payload for each in held for payload in payloads(each)]
    assert all(milliseconds > 0 for each in held for milliseconds in each.behind)
    release()
    after, _ = taken(read, 50 * 40)
    assert len({*before, *after}) == len(before) + len(after) == WORKLOAD.messages


def test_a_live_stream_gives_out_what_has_arrived_by_the_clock(serving):
    start = time.time() - 50.0
    serving(start=start, live=True)
    [first] = islice(polls(Kinesis(STREAM)), 1)
    assert 49 * 40 <= len(payloads(first)) <= (time.time() - start + 1.0) * 40


def test_a_position_is_found_again(serving):
    serving(start=1_000.0)
    source = Kinesis(STREAM, page=300)
    before, last = taken(polls(source), 4 * 300)
    after, _ = taken(polls(source, last.progress), WORKLOAD.messages - len(before))
    assert len({*before, *after}) == len(before) + len(after) == WORKLOAD.messages


def test_an_answer_is_no_larger_than_what_the_service_gives_in_a_fifth_of_a_second(serving):
    serving(start=1_000.0)
    client = Kinesis(STREAM).client()
    token = client.get_shard_iterator(
        StreamName=STREAM, ShardId="shardId-000000000001", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    answer = client.get_records(ShardIterator=token)["answer"]
    assert 0 < sum(len(record.Data) for record in answer.Records) <= ANSWER_BYTES


@pytest.mark.parametrize(
    ("call", "given", "refusal"),
    [
        ("describe_stream", {"StreamName": STREAM}, "UnknownOperation"),
        ("list_shards", {"StreamName": "another"}, "ResourceNotFound"),
        ("list_shards", {"StreamName": STREAM, "MaxResults": 5}, "ValidationException"),
        ("get_records", {"ShardIterator": "x"}, "InvalidArgument"),
        (
            "get_shard_iterator",
            {"StreamName": STREAM, "ShardId": "shardId-9", "ShardIteratorType": "TRIM_HORIZON"},
            "ResourceNotFound",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": "shardId-000000000000",
                "ShardIteratorType": "LATEST",
            },
            "ValidationException",
        ),
    ],
)
def test_anything_else_is_refused(serving, call, given, refusal):
    serving(start=1_000.0)
    client = Kinesis(STREAM).client()
    with pytest.raises(Exception, match=refusal):
        getattr(client, call)(**given)
