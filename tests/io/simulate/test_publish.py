import json
from datetime import UTC, datetime

import pytest

from eddyline.io.simulate import Simulation, messages
from eddyline.io.simulate.publish import key_of, live, publish
from eddyline.io.simulate.targets.table import target_of
from eddyline.io.simulate.targets.target import Unsendable
from eddyline.io.sqs.body import payload_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.now += seconds


class Target:
    most = 10

    def __init__(self, clock, refuse=lambda _: []):
        self.clock, self.refuse, self.sent, self.sizes = clock, refuse, [], []

    def send(self, messages):
        refused = self.refuse(messages)
        self.sent += [(self.clock(), m.payload) for m in messages if m not in refused]
        self.sizes.append(len(messages))
        return refused


def numbered(times):
    return [(round(time * 1e6), b"%d" % n) for n, time in enumerate(times)]


def test_each_message_leaves_when_its_time_has_come():
    clock = Clock()
    target = Target(clock)
    done = publish(numbered([50, 50.2, 51, 60]), target, clock, clock.sleep)
    assert [payload for _, payload in target.sent] == [b"0", b"1", b"2", b"3"]
    times = [at - 100 for at, _ in target.sent]
    assert times == pytest.approx([0, 0.2, 1, 10], abs=0.06)
    assert done.messages == 4


def test_what_is_due_within_a_tick_leaves_together():
    clock = Clock()
    target = Target(clock)
    publish(numbered(n / 1000 for n in range(1000)), target, clock, clock.sleep)
    assert max(target.sizes) == 10
    assert sum(target.sizes) / len(target.sizes) > 8
    assert clock.now == pytest.approx(101, abs=0.1)


def test_without_a_pace_nothing_is_waited_for():
    clock = Clock()
    target = Target(clock)
    publish(numbered([0, 1000, 2000]), target, clock, clock.sleep, paced=False)
    assert clock.now == 100
    assert target.sizes == [3]


def test_refused_messages_are_sent_until_they_are_taken():
    clock, turns = Clock(), iter(range(100))
    target = Target(clock, lambda messages: messages[1:] if next(turns) < 3 else [])
    done = publish(numbered([0] * 5), target, clock, clock.sleep)
    assert sorted(payload for _, payload in target.sent) == [b"0", b"1", b"2", b"3", b"4"]
    assert done.messages == 5
    assert done.retried == 4 + 3 + 2


def test_a_target_that_takes_nothing_is_given_up_after_two_minutes():
    clock = Clock()
    with pytest.raises(Unsendable, match="120 seconds"):
        publish(numbered([0]), Target(clock, lambda messages: messages), clock, clock.sleep)
    assert 120 <= clock.now - 100 < 140


def test_a_slow_target_makes_messages_late_and_says_so():
    clock = Clock()
    target = Target(clock)
    target.refuse = lambda _: clock.sleep(3) or []
    told = []
    publish(numbered(range(5)), target, clock, clock.sleep, told.append)
    assert len(target.sent) == 5
    assert told[-1].behind > 1
    assert [done.messages for done in told] == sorted(done.messages for done in told)


def test_it_can_be_stopped_and_sends_what_it_has():
    clock = Clock()
    target = Target(clock)
    done = publish(
        numbered(range(100)), target, clock, clock.sleep, stopped=lambda: clock.now > 105.5
    )
    assert done.messages == len(target.sent) == 6


def test_a_live_simulation_runs_at_the_wanted_rate_from_now_on():
    simulation = live(Simulation(devices=40, hours=0.5, faulty=0), 20.0, NOW)
    came = list(messages(simulation))
    assert len(came) / 1800 == pytest.approx(20, rel=0.05)
    assert came[0][0] == pytest.approx(NOW.timestamp() * 1e6, abs=2e6)
    assert json.loads(came[0][1])["device_id"]
    with pytest.raises(ValueError, match="rate must be more than 0"):
        live(Simulation(), 0.0, NOW)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"[]", b"[[]]", b'{"device_id": 7}', b'{"device_id": ""}', b"[" * 9999],
)
def test_a_message_without_a_device_has_a_key_of_its_own_bytes(payload):
    assert len(key_of(payload)) == 16
    assert key_of(payload) == key_of(payload) != key_of(payload + b"x")


def test_a_folder_fills_with_whole_files_in_order(tmp_path):
    clock = Clock()
    for first in (0, 3):
        target = target_of(str(tmp_path / "in"))
        some = [(at, b"%d\x00" % (first + n)) for n, (at, _) in enumerate(numbered([0, 1, 2]))]
        publish(some, target, clock, clock.sleep)
        target.close()
    files = sorted((tmp_path / "in").iterdir())
    assert [file.suffix for file in files] == [".jsonl"] * 6
    assert b"".join(file.read_bytes() for file in files) == b"".join(
        b"%d\x00\n" % n for n in range(6)
    )


def test_a_pubsub_topic_is_named_in_full():
    with pytest.raises(Unsendable, match="projects/PROJECT/topics/NAME"):
        target_of("pubsub:telemetry")


@pytest.mark.job
def test_a_stream_holds_every_message_a_device_in_one_shard(aws):
    client = aws("kinesis")
    client.create_stream(StreamName="to", ShardCount=4)
    clock, simulation = Clock(), Simulation(devices=6, hours=0.2, faulty=0, gathered=0)
    sent = list(messages(simulation))
    done = publish(sent, target_of("kinesis:to"), clock, clock.sleep, paced=False)
    found, homes = [], {}
    for shard in client.list_shards(StreamName="to")["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName="to", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in client.get_records(ShardIterator=iterator)["Records"]:
            found.append(record["Data"])
            homes.setdefault(record["PartitionKey"], set()).add(shard["ShardId"])
    assert sorted(found) == sorted(payload for _, payload in sent)
    assert done.messages == len(sent)
    assert all(len(shards) == 1 for shards in homes.values())


@pytest.mark.job
def test_a_throttled_stream_gets_the_refused_records_again(aws):
    aws("kinesis").create_stream(StreamName="throttled", ShardCount=1)
    target, clock, turns = target_of("kinesis:throttled"), Clock(), iter(range(100))
    put = target.client.put_records

    def throttled(**request):
        records = request["Records"]
        turn = next(turns)
        if turn == 0:
            return {
                "Records": [{"ErrorCode": "ProvisionedThroughputExceededException"}] * len(records)
            }
        kept = [record for n, record in enumerate(records) if n % 3 or turn > 2]
        put(**request | {"Records": kept})
        refused = {"ErrorCode": "ProvisionedThroughputExceededException"}
        return {"Records": [{} if n % 3 or turn > 2 else refused for n in range(len(records))]}

    target.client.put_records = throttled
    done = publish(numbered([0] * 90), target, clock, clock.sleep)
    client = aws("kinesis")
    iterator = client.get_shard_iterator(
        StreamName="throttled", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    found = [record["Data"] for record in client.get_records(ShardIterator=iterator)["Records"]]
    assert sorted(map(int, found)) == list(range(90))
    assert done.retried == 90 + 30 + 10


@pytest.mark.job
def test_a_request_stays_within_what_the_service_takes(aws):
    aws("kinesis").create_stream(StreamName="large", ShardCount=1)
    target, clock = target_of("kinesis:large"), Clock()
    large = [(0, bytes(900_000)) for _ in range(12)]
    assert publish(large, target, clock, clock.sleep).messages == 12


@pytest.mark.job
def test_a_queue_holds_every_message_whatever_its_bytes(aws):
    client = aws("sqs")
    url = client.create_queue(QueueName="to")["QueueUrl"]
    clock = Clock()
    sent = [*messages(Simulation(devices=3, hours=0.05, faulty=0, malformed=0.2)), (2**60, b"\xff")]
    publish(sent, target_of("sqs:to"), clock, clock.sleep, paced=False)
    found = []
    while len(found) < len(sent):
        got = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in got["Messages"]:
            values = message.get("MessageAttributes", {}).items()
            attributes = {name: value["StringValue"] for name, value in values}
            found.append(payload_of(message["Body"], attributes))
    assert sorted(found) == sorted(payload for _, payload in sent)


@pytest.mark.job
@pytest.mark.parametrize("words", ["kinesis:nowhere", "sqs:nowhere"])
def test_a_target_that_is_missing_is_told_in_words(aws, words):
    clock = Clock()
    with pytest.raises(Unsendable, match=r"does not exist\. Create it"):
        publish(numbered([0]), target_of(words), clock, clock.sleep)
