"""Pub/Sub against the emulator of the Google Cloud SDK."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from eddyline.io.alerts.senders import open_sender
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import Limits, PubsubChannel

TOPIC = "projects/a-project/topics/alerts"
SUBSCRIPTION = "projects/a-project/subscriptions/reader"
pytestmark = pytest.mark.job


def emulator_program():
    gcloud = shutil.which("gcloud")
    roots = [Path(gcloud).resolve().parents[1]] if gcloud else []
    for root in [*roots, Path("/usr/lib/google-cloud-sdk")]:
        program = root / "platform" / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator"
        if program.exists() and shutil.which("java"):
            return program
    return None


@pytest.fixture(scope="module")
def emulator():
    if (program := emulator_program()) is None:
        pytest.skip("needs the Pub/Sub emulator of the Google Cloud SDK, and Java")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [program, "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, "the emulator did not start"
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def clients(emulator, monkeypatch):
    import grpc
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator)
    channel = grpc.insecure_channel(emulator)
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    yield publisher, subscriber
    channel.close()


def test_an_alert_arrives_with_its_attributes(clients, alert):
    publisher, subscriber = clients
    publisher.create_topic(name=TOPIC)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    assert open_sender(PubsubChannel(topic=TOPIC)).send(alert()) == "200"
    (got,) = subscriber.pull(
        subscription=SUBSCRIPTION, max_messages=5, timeout=10
    ).received_messages
    assert got.message.attributes["key"] == "eddyline-test:0:opened"
    assert got.message.attributes["severity"] == "warning"
    assert json.loads(got.message.data)["incident"]["site"] == "Test"


def test_a_topic_that_is_not_there_is_permanent(clients, alert):
    with pytest.raises(Failed) as failed:
        open_sender(PubsubChannel(topic="projects/a-project/topics/gone")).send(alert())
    assert (failed.value.permanent, failed.value.status) == (True, "404")


def test_a_service_that_is_not_there_may_be_tried_again(monkeypatch, alert):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    start = time.monotonic()
    with pytest.raises(Failed) as failed:
        open_sender(PubsubChannel(topic=TOPIC, limits=Limits(timeout=1.0))).send(alert())
    assert not failed.value.permanent
    assert time.monotonic() - start < 5
