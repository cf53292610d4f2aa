"""A source on a real engine: Prism, streaming, against moto on loopback."""

import json
import threading
import time

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from eddyline.io.files.watch import WatchedFiles
from eddyline.io.kinesis.source import Kinesis
from eddyline.io.pubsub.source import PubSub
from eddyline.io.sources.lag import LAG
from eddyline.io.sources.read import Pace, ReadSource
from eddyline.io.sources.until import Until
from eddyline.io.sqs.source import Sqs
from eddyline.transforms import coder  # noqa: F401 registers how batches cross to the engine

pytestmark = pytest.mark.job


class Note(beam.DoFn):
    """Notes what it sees in a file of its own, as another process might."""

    def __init__(self, folder):
        self.folder = folder

    def process(self, element, window=beam.DoFn.WindowParam):
        with (self.folder / "windows").open("a") as notes:
            notes.write(json.dumps([time.time(), float(window.end), element]) + "\n")
        yield element


def run(prism, source, folder, produce):
    flags = ["--runner=PrismRunner", f"--prism_location={prism}", "--streaming"]
    options = PipelineOptions([*flags, "--experiments=prism_disable_sdf_split"])
    read = ReadSource(source, Pace(hold=0.3, allowance=0), Until(file=str(folder / "stop")))
    job = beam.Pipeline(options=options)
    numbers = (
        job
        | read
        | "Numbers"
        >> beam.FlatMap(
            lambda batch: [int(payload) for payload in batch.column("payload").to_pylist()]
        )
    )
    _ = (
        numbers
        | beam.WindowInto(beam.window.FixedWindows(1))
        | beam.combiners.ToList().without_defaults()
        | beam.ParDo(Note(folder))
    )
    producer = threading.Thread(target=produce)
    producer.start()
    result = job.run()
    producer.join()
    (folder / "stop").touch()
    result.wait_until_finish()
    lines = (folder / "windows").read_text().splitlines()
    return [json.loads(line) for line in lines], result


@pytest.mark.timeout(120)
def test_kinesis_is_read_live_and_drained_by_a_file(prism, aws, tmp_path):
    client = aws("kinesis")
    client.create_stream(StreamName="live", ShardCount=3)

    def produce():
        for part in range(16):
            client.put_records(
                StreamName="live",
                Records=[
                    {"Data": b"%d" % (part * 50 + n), "PartitionKey": f"d{n % 9}"}
                    for n in range(50)
                ],
            )
            time.sleep(0.4)

    windows, result = run(prism, Kinesis("live", readers=2), tmp_path, produce)
    assert sorted(n for _, _, numbers in windows for n in numbers) == list(range(800))
    # Windows close while the source goes on: by the watermark, and not by its end.
    early = [at for at, _, _ in windows if at < (tmp_path / "stop").stat().st_mtime]
    assert len(early) >= 2
    lags = result.metrics().query()["distributions"]
    assert any(lag.key.metric.name == "behind_ms" for lag in lags)
    assert "kinesis:live" in LAG.read()


@pytest.mark.timeout(120)
def test_sqs_is_read_and_what_was_committed_is_deleted(prism, aws, tmp_path):
    client = aws("sqs")
    url = client.create_queue(QueueName="live")["QueueUrl"]

    def produce():
        for first in range(0, 60, 10):
            client.send_message_batch(
                QueueUrl=url,
                Entries=[{"Id": f"{n}", "MessageBody": f"{n}"} for n in range(first, first + 10)],
            )
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        end = time.monotonic() + 30
        while time.monotonic() < end:
            left = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
            if set(left.values()) == {"0"}:
                break
            time.sleep(0.3)
        (tmp_path / "left").write_text(json.dumps(left))

    windows, _ = run(prism, Sqs("live"), tmp_path, produce)
    assert sorted(n for _, _, numbers in windows for n in numbers) == list(range(60))
    assert set(json.loads((tmp_path / "left").read_text()).values()) == {"0"}


@pytest.mark.timeout(120)
def test_files_are_read_as_they_appear(prism, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()

    def produce():
        for part in range(12):
            path = folder / f"{part:02d}.part"
            path.write_bytes(b"".join(b"%d\n" % n for n in range(part * 50, part * 50 + 50)))
            path.rename(path.with_suffix(".jsonl"))
            time.sleep(0.4)
        time.sleep(3)

    source = WatchedFiles(f"{folder}/*.jsonl", every=0.3, settle=0, readers=2)
    windows, _ = run(prism, source, tmp_path, produce)
    assert sorted(n for _, _, numbers in windows for n in numbers) == list(range(600))
    early = [at for at, _, _ in windows if at < (tmp_path / "stop").stat().st_mtime]
    assert len(early) >= 2


@pytest.fixture
def emulator(pubsub_emulator, monkeypatch):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator)


@pytest.mark.timeout(120)
def test_pubsub_is_read_and_what_was_committed_is_acknowledged(prism, emulator, tmp_path):
    topic, name = "projects/project/topics/live", "projects/project/subscriptions/live"
    publisher, subscriber = PublisherClient(), SubscriberClient()
    publisher.create_topic(name=topic)
    # What is not acknowledged comes again, and would be counted twice.
    subscriber.create_subscription(name=name, topic=topic, ack_deadline_seconds=10)

    def produce():
        for part in range(16):
            sent = [publisher.publish(topic, b"%d" % (part * 50 + n)) for n in range(50)]
            for one in sent:
                one.result(10)
            time.sleep(0.4)
        time.sleep(8)

    windows, _ = run(prism, PubSub(name, lease=5), tmp_path, produce)
    assert sorted(n for _, _, numbers in windows for n in numbers) == list(range(800))
    early = [at for at, _, _ in windows if at < (tmp_path / "stop").stat().st_mtime]
    assert len(early) >= 2
    time.sleep(6)  # longer than a lease
    wanted = {"subscription": name, "max_messages": 100}
    assert not subscriber.pull(request=wanted, timeout=5).received_messages
    publisher.stop()
    subscriber.close()
