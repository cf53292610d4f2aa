"""Whole jobs against real peers: every transition is delivered or a dead letter."""

import json
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import apache_beam as beam
import cloudpickle
import msgspec
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing import test_stream
from apache_beam.transforms.window import TimestampedValue

from eddyline.io.alerts.senders import open_sender
from eddyline.schemas.alert_channel import (
    AlertChannel,
    FileChannel,
    Limits,
    MessageSettings,
    PagerdutyChannel,
    SlackChannel,
    WebhookChannel,
)
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.alert_message import example
from eddyline.transforms.notify import Deliver, DeliverAll, Delivery, Notify

pytestmark = pytest.mark.job
INCIDENT = arrow_schema(load_contract("room").record("incident"))
LIMITS = Limits(
    timeout=0.5, attempts=3, first_wait=0.02, longest_wait=0.2, rate=1000, burst=1000,
    failures=4, pause=0.2,
)  # fmt: skip
SECRET = "hush-hush-hush"
OK = (200, {"Content-Type": "application/json"}, b'{"ok": true}')
BUSY = (429, {"Retry-After": "1"}, b"")
PEERS = {
    "well": [OK],
    "busy": [BUSY, BUSY, OK],
    "broken": [500],
    "hanging": ["hang"],
    "resetting": ["reset", "reset", OK],
    "refusing": [400],
}


@dataclass
class Everywhere:
    """A policy of no file: everything to every channel."""

    channels: dict[str, AlertChannel]
    messages: MessageSettings = field(default_factory=MessageSettings)

    def current(self):
        return self

    def routes(self, row):
        return tuple(self.channels)

    def muted(self, row):
        return None


class Append(beam.DoFn):
    def __init__(self, path):
        self.path = str(path)

    def process(self, batch):
        with Path(self.path).open("ab") as file:
            file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in batch.to_pylist()))


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def batch_of(*incidents) -> pa.RecordBatch:
    rows = [msgspec.structs.asdict(incident) for incident in incidents]
    return pa.RecordBatch.from_pylist(rows, schema=INCIDENT)


def run(channels, batches, folder, streaming):
    """The deliveries and dead letters of a job over the batches."""
    delivery = Delivery(
        partial(Everywhere, channels),
        open_sender,
        time.time,
        time.sleep,
        patience=2.0,
        in_bundle=0.05,
    )
    runner = BundleBasedDirectRunner() if streaming else "FnApiRunner"
    with beam.Pipeline(runner=runner, options=PipelineOptions([], streaming=streaming)) as job:
        if streaming:
            stream = test_stream.TestStream().advance_watermark_to(0)
            for number, batch in enumerate(batches):
                stream = stream.add_elements([TimestampedValue(batch, number)])
                # Beyond any time of ours, so that timers fire as soon as they are set.
                stream = stream.advance_processing_time(1 if number else 4_000_000_000)
                stream = stream.advance_watermark_to(number + 1)
            made = job | stream.advance_watermark_to_infinity() | beam.Map(lambda batch: batch)
        else:
            made = job | beam.Create(batches)
        notified = made | "Notify" >> Notify(delivery, streaming)
        _ = notified.deliveries | "Told" >> beam.ParDo(Append(folder / "told"))
        _ = notified.dead_letters | "Dead" >> beam.ParDo(Append(folder / "dead"))
    return read(folder / "told"), read(folder / "dead")


def channel_to(kind, url, monkeypatch):
    name = "HOOK_" + url.rpartition(":")[2]
    monkeypatch.setenv(name, f"{url}/services/{SECRET}")
    return {
        "webhook": WebhookChannel(url=f"{url}/in", secret=f"env:{name}", limits=LIMITS),
        "slack": SlackChannel(webhook=f"env:{name}", limits=LIMITS),
        "pagerduty": PagerdutyChannel(routing_key=f"env:{name}", url=f"{url}/e", limits=LIMITS),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "streaming"),
    [("webhook", False), ("slack", False), ("pagerduty", False), ("webhook", True)],
)
def test_transitions_are_delivered_or_dead_letters_in_each_channel(
    kind, streaming, start_peer, tmp_path, monkeypatch
):
    peers = {name: start_peer(*answers) for name, answers in PEERS.items()}
    channels = {name: channel_to(kind, peer.url, monkeypatch) for name, peer in peers.items()}
    channels["file"] = FileChannel(path=str(tmp_path / "alerts"))
    incidents = [
        msgspec.structs.replace(example(transition, revision=revision), incident_id=f"{n}")
        for n in range(3)
        for revision, transition in enumerate(("opened", "resolved"))
    ]
    batches = [batch_of(*incidents[n : n + 2]) for n in range(0, len(incidents), 2)]
    told, dead = run(channels, batches, tmp_path, streaming)
    keys = sorted(incident.key for incident in incidents)
    for name in channels:
        mine = [row for row in told if row["channel"] == name]
        final = [row["key"] for row in mine if row["outcome"] in ("delivered", "refused")]
        assert sorted(final) == keys, name
        letters = [row["position"] for row in dead if row["source"] == f"notify:{name}"]
        refused = [row["key"] for row in mine if row["outcome"] == "refused"]
        assert sorted(letters) == sorted(refused), name
        wrong = name in ("broken", "hanging", "refusing")
        assert len(refused) == (len(keys) if wrong else 0), (name, mine)
    assert sorted(row["key"] for row in read(tmp_path / "alerts")) == keys
    assert len(peers["well"].requests) == len(keys)
    assert SECRET not in json.dumps([told, dead])


@pytest.mark.parametrize("streaming", [False, True], ids=["bounded", "streaming"])
def test_a_channel_that_hangs_delays_no_other(streaming, start_peer, tmp_path, monkeypatch):
    hanging, well = start_peer("hang"), start_peer()
    channels = {
        "a hanging one": channel_to("webhook", hanging.url, monkeypatch),
        "well": channel_to("webhook", well.url, monkeypatch),
    }
    slow = msgspec.structs.replace(LIMITS, timeout=3.0, attempts=1)
    channels["a hanging one"] = msgspec.structs.replace(channels["a hanging one"], limits=slow)
    arrived = []
    answer = well.next
    well.next = lambda request: arrived.append(time.monotonic()) or answer(request)
    _, dead = run(channels, [batch_of(example())], tmp_path, streaming)
    ended = time.monotonic()
    assert len(arrived) == 1
    assert ended - arrived[0] > 1.5, "the well one was told long before the other one was given up"
    assert [row["source"] for row in dead] == ["notify:a hanging one"]


def test_no_secret_is_in_the_graph_or_in_what_is_pickled(monkeypatch):
    monkeypatch.setenv("A_TOKEN", SECRET)
    channels = {
        "pager": PagerdutyChannel(routing_key="env:A_TOKEN"),
        "hook": WebhookChannel(url="https://x.example", secret="env:A_TOKEN"),
    }
    delivery = Delivery(partial(Everywhere, channels), open_sender, time.time, time.sleep)
    job = beam.Pipeline()
    notified = job | beam.Create([batch_of(example())]) | Notify(delivery, streaming=True)
    _ = notified.deliveries | beam.Map(lambda row: row)
    graph = job.to_runner_api().SerializeToString()
    pickled = cloudpickle.dumps(Deliver(delivery)) + cloudpickle.dumps(DeliverAll(delivery))
    assert b"env:A_TOKEN" in pickled, "it looks at the right place"
    assert SECRET.encode() not in graph + pickled
