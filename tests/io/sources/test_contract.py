"""What every source keeps, against a real server on loopback.

A further source adds a service to `SERVICES`: a class as `KinesisOnMoto`, with its server.
"""

import logging
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import boto3
import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from moto.server import ThreadedMotoServer

from eddyline.io.files.watch import WatchedFiles
from eddyline.io.kafka.source import Kafka
from eddyline.io.kinesis.aggregated import MAGIC
from eddyline.io.kinesis.source import Kinesis
from eddyline.io.pubsub.source import PubSub
from eddyline.io.sources.begin import Begin
from eddyline.io.sources.read import Pace
from eddyline.io.sources.source import Unreadable
from eddyline.io.sources.until import Until
from eddyline.io.sqs.body import ENCODING, body_of
from eddyline.io.sqs.source import Sqs
from eddyline.pipeline.live.child import Lost, free_port
from eddyline.pipeline.live.emulators import start_pubsub

pytestmark = pytest.mark.job

NUMBERS = count()
POISON = [
    b"",
    b"\x00",
    bytes(range(256)),
    b"\xff\xfe{}",
    b"[" * 10_000,
    "{\u0007}\ud83d\ude00".encode("utf-8", "surrogatepass"),
    MAGIC,
    MAGIC + bytes(20),
    b"x" * 200_000,
]


class OnAws:
    """A service of AWS that is emulated on a port."""

    secrets = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    credentials_words = "AWS_ACCESS_KEY_ID"
    nobody_there = ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    begins = True

    def __init__(self):
        self.port = free_port()
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        self.start()

    def client(self, service):
        return boto3.client(
            service,
            region_name="eu-central-1",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )


class OnMoto(OnAws):
    def start(self):
        self.server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()

    def stop(self):
        self.server.stop()


class KinesisService:
    ordered = True
    action = "kinesis:ListShards"

    def make(self):
        name = f"stream-{next(NUMBERS)}"
        client = self.client("kinesis")
        client.create_stream(StreamName=name, ShardCount=3)
        client.get_waiter("stream_exists").wait(
            StreamName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100}
        )
        return name

    def source(self, name, **more):
        return Kinesis(name, **more)

    def send(self, name, payloads):
        client = self.client("kinesis")
        for first in range(0, len(payloads), 20):
            some = enumerate(payloads[first : first + 20], first)
            records = [{"Data": data, "PartitionKey": f"d{n % 7}"} for n, data in some]
            assert not client.put_records(StreamName=name, Records=records)["FailedRecordCount"]


class KinesisOnMoto(KinesisService, OnMoto):
    pass


class KinesisOnKinesalite(KinesisService, OnAws):
    def start(self):
        program = os.environ.get("EDDYLINE_KINESALITE") or shutil.which("kinesalite")
        if not program:
            pytest.skip("needs kinesalite: npm install -g kinesalite, or EDDYLINE_KINESALITE=path")
        limits = ["--createStreamMs", "1", "--updateStreamMs", "1", "--shardLimit", "1000"]
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), *limits], stdout=subprocess.DEVNULL
        )
        wait_for(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class SqsOnMoto(OnMoto):
    ordered = begins = False
    action = "sqs:GetQueueUrl"

    def hidden_for(self, seconds):
        return {"visibility": seconds}

    def left(self, name):
        client = self.client("sqs")
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        left = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        return sum(map(int, left.values()))

    def make(self):
        name = f"queue-{next(NUMBERS)}"
        self.client("sqs").create_queue(QueueName=name)
        return name

    def source(self, name, **more):
        return Sqs(name, **more)

    def send(self, name, payloads):
        client = self.client("sqs")
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        entries = []
        for n, payload in enumerate(payloads):
            body, sent = body_of(payload)
            attributes = {k: {"DataType": "String", "StringValue": v} for k, v in sent.items()}
            entries.append({"Id": f"{n}", "MessageBody": body, "MessageAttributes": attributes})
        for first in range(0, len(entries), 10):
            sent = client.send_message_batch(QueueUrl=url, Entries=entries[first : first + 10])
            assert not sent.get("Failed")


class PubSubOnEmulator:
    ordered = begins = False
    action = "pubsub.subscriptions.consume"
    secrets = ("PUBSUB_EMULATOR_HOST",)
    credentials_words = "no Google credentials"
    nobody_there = ("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")

    def __init__(self):
        folder = Path(tempfile.mkdtemp())
        try:
            self.child, port = start_pubsub(folder / "emulator.log")
        except Lost as reason:
            pytest.skip(str(reason))
        self.environment = {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{port}",
            "NO_GCE_CHECK": "true",
            "CLOUDSDK_CONFIG": os.devnull,
        }

    def stop(self):
        self.child.end()

    def make(self):
        name = f"telemetry-{next(NUMBERS)}"
        topic = f"projects/project/topics/{name}"
        with PublisherClient() as publisher:
            publisher.create_topic(name=topic)
        with SubscriberClient() as subscriber:
            subscriber.create_subscription(name=self.subscription(name), topic=topic)
        return name

    def subscription(self, name):
        return f"projects/project/subscriptions/{name}"

    def source(self, name, **more):
        return PubSub(self.subscription(name), **more)

    def send(self, name, payloads):
        topic = f"projects/project/topics/{name}"
        client = PublisherClient()
        for sent in [client.publish(topic, data, type="data") for data in payloads]:
            sent.result(10)
        client.stop()

    def hidden_for(self, seconds):
        return {"lease": seconds}

    def left(self, name):
        time.sleep(3)  # leases are over
        with SubscriberClient() as client:
            wanted = {"subscription": self.subscription(name), "max_messages": 100}
            return len(client.pull(request=wanted, timeout=2).received_messages)


class Files:
    """Each sending is a file; its lines are the messages."""

    ordered = begins = True

    def origin(self, source):
        return source.pattern.removesuffix("*.jsonl")


class FilesOnDisk(Files):
    environment, nobody_there, secrets = {}, None, ()

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="eddyline-"))

    def stop(self):
        shutil.rmtree(self.folder)

    def make(self):
        folder = self.folder / f"in-{next(NUMBERS)}"
        folder.mkdir()
        return str(folder)

    def source(self, name, **more):
        return WatchedFiles(f"{name}/*.jsonl", **{"every": 0.1, "settle": 0, **more})

    def send(self, name, payloads):
        for part in range(3):
            path = Path(name) / f"{next(NUMBERS):06d}.part"
            path.write_bytes(b"".join(payload + b"\n" for payload in payloads[part::3]))
            path.rename(path.with_suffix(".jsonl"))


class FilesOnS3(Files, OnMoto):
    action = "s3:ListBucket"

    def make(self):
        name = f"bucket-{next(NUMBERS)}"
        place = {"LocationConstraint": "eu-central-1"}
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
        return name

    def source(self, name, **more):
        return WatchedFiles(f"s3://{name}/in/*.jsonl", **{"every": 0.1, **more})

    def send(self, name, payloads):
        for part in range(3):
            body = b"".join(payload + b"\n" for payload in payloads[part::3])
            key = f"in/{next(NUMBERS):06d}.jsonl"
            self.client("s3").put_object(Bucket=name, Key=key, Body=body)


class KafkaOnBroker:
    """A broker of its own; opt-in, since it takes a JVM and a minute.

    EDDYLINE_KAFKA names a folder with the jars: `mvn dependency:copy-dependencies` of
    org.apache.kafka:kafka_2.13.
    """

    ordered = begins = True
    secrets = ()
    nobody_there = ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")

    def __init__(self):
        jars = os.environ.get("EDDYLINE_KAFKA", "")
        if not (jars and shutil.which("java")):
            pytest.skip("opt-in: EDDYLINE_KAFKA=folder of Kafka's jars, and java")
        port, control = free_port(), free_port()
        self.environment = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}
        self.folder = Path(tempfile.mkdtemp(prefix="eddyline-kafka-"))
        settings = self.folder / "server.properties"
        settings.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{control}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}\n"
            "controller.listener.names=CONTROLLER\nauto.create.topics.enable=false\n"
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "group.initial.rebalance.delay.ms=0\n"
            f"log.dirs={self.folder / 'logs'}\n"
        )
        self.java = ["java", "-Xmx400m", "-cp", f"{jars}/*"]
        form = ["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]
        subprocess.run([*self.java, *form, settings], check=True, capture_output=True)
        self.process = subprocess.Popen(
            [*self.java, "kafka.Kafka", settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(port, 600)

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def make(self):
        from confluent_kafka.admin import AdminClient, NewTopic

        name = f"topic-{next(NUMBERS)}"
        admin = AdminClient({"bootstrap.servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"]})
        admin.create_topics([NewTopic(name, 3, 1)])[name].result(20)
        for _ in range(50):  # until each partition has its leader
            try:
                Kafka(name).check()
            except Unreadable:
                time.sleep(0.1)
            else:
                return name
        raise TimeoutError(name)

    def source(self, name, **more):
        return Kafka(name, **more)

    def send(self, name, payloads):
        from confluent_kafka import Producer

        settings = {"bootstrap.servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"]}
        producer = Producer({**settings, "linger.ms": 0})
        for n, payload in enumerate(payloads):
            producer.produce(name, payload, key=f"d{n % 7}")
        assert producer.flush(20) == 0


SERVICES = [
    KinesisOnMoto,
    KinesisOnKinesalite,
    SqsOnMoto,
    PubSubOnEmulator,
    FilesOnDisk,
    FilesOnS3,
    KafkaOnBroker,
]


def wait_for(port, tries=100):
    for _ in range(tries):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(port)


@pytest.fixture(scope="module", params=SERVICES, ids=lambda service: service.__name__)
def server(request):
    service = request.param()
    yield service
    service.stop()


@pytest.fixture
def service(server, monkeypatch):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_SESSION_TOKEN",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ):
        monkeypatch.delenv(name, raising=False)
    return server


def drain(lane, expected, seconds=20, **bundle):
    """Run bundles until so many messages came, and two more for what should not come."""
    messages, end, quiet = [], time.monotonic() + seconds, 0
    while quiet < 2:
        assert time.monotonic() < end, f"{len(messages)} of {expected} messages came"
        messages += lane.bundle(**bundle)
        quiet += len(messages) >= expected
        time.sleep(min(lane.delay, 0.3))
    return messages


def numbered(first, last):
    return [b'{"n": %d}' % n for n in range(first, last)]


def payloads(messages):
    return [message.payload for message in messages]


def test_every_message_comes_once_with_its_origin(service, engine):
    name = service.make()
    source = service.source(name)
    service.send(name, numbered(0, 100))
    messages = drain(engine(source).lane, 100)
    assert sorted(payloads(messages)) == sorted(numbered(0, 100))
    assert len({(m.source, m.position) for m in messages}) == 100
    origin = service.origin(source) if isinstance(service, Files) else source.name
    assert all(m.source.startswith(origin) for m in messages)
    assert all(abs(m.arrival_time / 1e6 - time.time()) < 60 for m in messages)


def test_a_partition_keeps_its_order_and_positions_say_it(service, engine):
    if not service.ordered:
        pytest.skip("a queue has no order")
    name = service.make()
    lane = engine(service.source(name, rows=50)).lane
    taken = []
    for part in range(4):
        service.send(name, numbered(part * 70, part * 70 + 70))
        taken += drain(lane, 70)
    by_partition = {}
    for message in taken:
        by_partition.setdefault(message.source, []).append(message)
    assert len(by_partition) > 1
    for partition in by_partition.values():
        numbers = [int(m.payload[6:-1]) for m in partition]
        assert numbers == sorted(numbers)
        positions = [m.position for m in partition]
        assert positions == sorted(set(positions))


def test_messages_come_in_batches_of_at_most_so_many_rows(service, engine):
    name = service.make()
    service.send(name, numbered(0, 100))
    lane, sizes = engine(service.source(name, rows=40)).lane, []
    while sum(sizes) < 100:
        lane.bundle()
        sizes += [batch.num_rows for batch in lane.batches]
    assert max(sizes) <= 40
    assert len(sizes) < 12


def test_only_a_bundle_that_crashed_comes_again(service, engine):
    name = service.make()
    short = {} if service.ordered else service.hidden_for(3)
    run = engine(service.source(name, **short))
    service.send(name, numbered(0, 50))
    lost = []
    while len(lost) < 1:
        lost = run.lane.bundle(commit=False)
    run.forget()
    again = drain(run.lane, 50, seconds=30)
    assert set(payloads(lost)) <= set(payloads(again))
    assert sorted(payloads(again)) == sorted(numbered(0, 50))
    service.send(name, numbered(50, 60))
    assert sorted(payloads(drain(run.lane, 10))) == numbered(50, 60)


def test_crashes_at_any_bundle_lose_nothing_and_double_nothing(service, engine):
    if not service.ordered:
        pytest.skip("a queue shows a lost message again only after its time")
    name, chance = service.make(), random.Random(7)
    lane, taken, sent = engine(service.source(name)).lane, [], 0
    while len(taken) < 100:
        if sent < 100 and chance.random() < 0.5:
            service.send(name, numbered(sent, sent + 20))
            sent += 20
        crash = chance.random() < 0.4
        came = lane.bundle(commit=not crash)
        taken += [] if crash else came
        if crash:
            lane.engine.forget()
    assert sorted(payloads(taken)) == sorted(numbered(0, 100))


def test_the_watermark_is_never_ahead_of_unread_messages(service, engine):
    name = service.make()
    lane, chance, sent, taken = engine(service.source(name)).lane, random.Random(3), 0, 0
    watermarks = []
    end = time.monotonic() + 4
    while taken < sent or time.monotonic() < end:
        before = lane.watermark.micros
        watermarks.append(before)
        if chance.random() < 0.4 and time.monotonic() < end:
            service.send(name, numbered(sent, sent + 5))
            sent += 5
        messages = lane.bundle()
        assert all(message.arrival_time >= before for message in messages)
        taken += len(messages)
        time.sleep(0.05)
    assert watermarks == sorted(watermarks)
    assert taken == sent > 0
    # It has moved meanwhile: not being ahead would be easy otherwise.
    assert watermarks[-1] > (time.time() - 8) * 1e6


def test_an_idle_and_an_empty_source_let_the_watermark_go_on(service, engine):
    name = service.make()
    lane = engine(service.source(name), pace=Pace(hold=0.1, allowance=5)).lane
    begun, waits = time.time(), []
    while lane.watermark.micros < (begun - 6) * 1e6:
        assert lane.bundle() == []
        waits.append(lane.delay)  # none where the look itself took as long
        time.sleep(lane.delay)
        assert time.time() < begun + 10
    assert max(waits) > 0
    assert lane.watermark.micros <= (time.time() - 5) * 1e6


def test_any_bytes_pass(service, engine):
    name = service.make()
    # A newline would end the message in a file of lines.
    poison = [p.replace(b"\n", b"") for p in POISON] if isinstance(service, Files) else POISON
    service.send(name, poison)
    messages = drain(engine(service.source(name)).lane, len(poison))
    assert sorted(payloads(messages)) == sorted(poison)
    assert all(ENCODING not in message.attributes for message in messages)


def test_a_missing_stream_is_told_in_words(service, engine):
    source = service.source("nowhere")
    for attempt in (source.check, source.start):
        with pytest.raises(Unreadable, match=r"nowhere: it does not exist\. Create it") as told:
            attempt()
        assert not told.value.passes


def test_missing_credentials_are_told_in_words(service, monkeypatch):
    if not service.secrets:
        pytest.skip("it asks for none")
    source = service.source(service.make())
    source.check()
    for name in service.secrets:
        monkeypatch.delenv(name)
    with pytest.raises(Unreadable, match=service.credentials_words) as told:
        source.check()
    assert service.action in str(told.value)


def test_a_service_that_cannot_be_reached_is_told_in_words(service, monkeypatch):
    if not service.nobody_there:
        pytest.skip("a disk has no address")
    source = service.source("any")
    monkeypatch.setenv(*service.nobody_there)
    with pytest.raises(Unreadable, match="cannot be reached") as told:
        source.check()
    assert told.value.passes


def test_a_server_that_is_gone_for_a_while_costs_nothing(service, engine):
    if not hasattr(service, "server"):
        pytest.skip("it keeps nothing over a restart")
    name = service.make()
    lane = engine(service.source(name)).lane
    service.send(name, numbered(0, 30))
    first = drain(lane, 30)
    service.stop()
    gone, watermark = time.monotonic(), lane.watermark
    while time.monotonic() < gone + 3:
        assert lane.bundle() == []
        assert lane.delay > 0
        time.sleep(min(lane.delay, 0.5))
    assert lane.watermark == watermark
    service.start()
    service.send(name, numbered(30, 60))
    assert sorted(payloads(first + drain(lane, 30))) == sorted(numbered(0, 60))
    assert time.monotonic() - gone < 3 + 10


def test_a_source_ends_after_so_many_messages(service, engine):
    name = service.make()
    service.send(name, numbered(0, 60))
    lane = engine(service.source(name), Until(messages=60)).lane
    taken = []
    while not lane.ended:
        taken += lane.bundle()
    assert len(taken) == 60
    assert lane.watermark == MAX_TIMESTAMP


def test_a_source_ends_when_a_file_says_so_or_at_a_time(service, engine, tmp_path):
    name = service.make()
    lane = engine(service.source(name), Until(file=str(tmp_path / "stop"))).lane
    lane.bundle()
    assert not lane.ended
    (tmp_path / "stop").touch()
    lane.bundle()
    assert lane.ended
    service.send(name, numbered(0, 5))
    lane = engine(service.source(name), Until(arrival_time=round((time.time() + 1) * 1e6))).lane
    taken, end = [], time.monotonic() + 10
    while not lane.ended:
        taken += lane.bundle()
        time.sleep(lane.delay)
        assert time.monotonic() < end
    assert len(taken) == 5


def test_several_readers_share_a_source(service, engine):
    name = service.make()
    run = engine(service.source(name, readers=2))
    service.send(name, numbered(0, 60))
    taken, end = [], time.monotonic() + 20
    assert len(run.lanes) == 2
    while len(taken) < 60 and time.monotonic() < end:
        for lane in run.lanes:
            taken += lane.bundle()
    assert sorted(payloads(taken)) == sorted(numbered(0, 60))


def test_the_latest_message_and_a_time_can_be_begun_at(service, engine):
    if not service.begins:
        pytest.skip("a queue has no place to begin at")
    name = service.make()
    service.send(name, numbered(0, 10))
    time.sleep(1.2)
    latest = engine(service.source(name, begin=Begin("latest")))
    middle = Begin("time", round(datetime.now(UTC).timestamp() * 1e6))
    latest.forget()  # it had not read yet; what comes now it must not miss
    service.send(name, numbered(10, 20))
    assert sorted(payloads(drain(latest.lane, 10))) == numbered(10, 20)
    timed = engine(service.source(name, begin=middle))
    assert sorted(payloads(drain(timed.lane, 10))) == numbered(10, 20)


def test_uncommitted_messages_stay_hidden_and_committed_ones_are_deleted(service, engine):
    if service.ordered:
        pytest.skip("a stream keeps its messages")
    name = service.make()
    lane = engine(service.source(name, **service.hidden_for(2))).lane
    service.send(name, numbered(0, 20))
    taken = drain(lane, 20, acknowledge=False)
    end = time.monotonic() + 4
    while time.monotonic() < end:  # longer than they were hidden for
        taken += lane.bundle()
    assert len(taken) == 20
    for callback in lane.unacknowledged:
        callback()
    assert service.left(name) == 0


def test_a_real_resharding_keeps_the_order(service, engine):
    if not isinstance(service, KinesisOnKinesalite):
        pytest.skip("moto moves the records of a shard that is split")
    name, client = service.make(), service.client("kinesis")
    lane = engine(service.source(name)).lane

    def settled():
        while (
            client.describe_stream(StreamName=name)["StreamDescription"]["StreamStatus"] != "ACTIVE"
        ):
            time.sleep(0.02)

    service.send(name, numbered(0, 100))
    half = str(2**128 // 6)
    client.split_shard(
        StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=half
    )
    settled()
    service.send(name, numbered(100, 200))
    client.merge_shards(
        StreamName=name,
        ShardToMerge="shardId-000000000001",
        AdjacentShardToMerge="shardId-000000000002",
    )
    settled()
    service.send(name, numbered(200, 300))
    # Longer than the watermark's margin: at a closed shard's end it must not jump to now, because
    # the shards that follow hold what came meanwhile.
    time.sleep(1.5)
    taken = drain(lane, 300)
    assert sorted(payloads(taken)) == sorted(numbered(0, 300))
    by_key = {}
    for message in taken:
        by_key.setdefault(message.attributes["partition_key"], []).append(
            int(message.payload[6:-1])
        )
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert len({message.source for message in taken}) > 3
