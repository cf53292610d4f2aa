"""Pub/Sub against the emulator of the Google Cloud SDK."""

import json
import time

import pytest

from eddyline.io.alerts.senders import open_sender
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import Limits, PubsubChannel

TOPIC = "projects/a-project/topics/alerts"
SUBSCRIPTION = "projects/a-project/subscriptions/reader"
pytestmark = pytest.mark.job


@pytest.fixture
def clients(pubsub_emulator, monkeypatch):
    import grpc
    from google.pubsub_v1 import PublisherClient, SubscriberClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator)
    channel = grpc.insecure_channel(pubsub_emulator)
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
