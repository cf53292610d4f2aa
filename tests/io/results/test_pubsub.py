"""Results to Pub/Sub, by Google's own emulator."""

import json

import grpc
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from eddyline.io.results.pubsub import PubSubPublisher
from eddyline.io.results.writer import ResultWriter

pytestmark = pytest.mark.job


@pytest.fixture
def topic(pubsub_emulator, monkeypatch, request):
    """A topic and what its subscription, which keeps the order, has got."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_emulator)
    number = abs(hash(request.node.name))
    name, subscription = f"projects/p/topics/t{number}", f"projects/p/subscriptions/s{number}"
    own = PubSubPublisher(name, ordered=False)
    own._client.create_topic(name=name)
    channel = grpc.insecure_channel(pubsub_emulator)
    subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    subscriber.create_subscription(
        request={"name": subscription, "topic": name, "enable_message_ordering": True}
    )

    def got(count):
        found = []
        for _ in range(20):
            answer = subscriber.pull(subscription=subscription, max_messages=1000, timeout=5)
            ids = [received.ack_id for received in answer.received_messages]
            if ids:
                subscriber.acknowledge(subscription=subscription, ack_ids=ids)
            found += [received.message for received in answer.received_messages]
            if len(found) >= count:
                break
        return found

    yield name, got
    own.close()
    subscriber.transport.close()


def published(publisher, table, batches, patience=5.0):
    refused = ResultWriter(publisher, "json", patience).write(table("incidents"), batches)
    publisher.close()
    return refused


def test_each_row_is_a_message_with_its_id_and_table(topic, table, incidents):
    name, got = topic
    batches = [incidents(range(400)), incidents(range(400, 1500))]
    assert published(PubSubPublisher(name, ordered=False), table, batches) == []
    messages = got(1500)
    assert len(messages) == 1500
    assert len({json.loads(m.data)["event_time"] for m in messages}) == 1500
    first = messages[0].attributes
    assert (first["table"], first["content-type"]) == ("incidents", "application/json")
    assert first["id"].startswith(json.loads(messages[0].data)["incident_id"])


def test_a_devices_rows_keep_their_order_where_it_is_asked_for(topic, table, incidents):
    name, got = topic
    batches = [incidents(range(n, n + 10)) for n in range(0, 200, 10)]
    assert published(PubSubPublisher(name, ordered=True), table, batches) == []
    messages = got(200)
    assert {m.ordering_key for m in messages} == {f"room-{n}" for n in range(5)}
    for device in range(5):
        times = [
            json.loads(m.data)["event_time"] for m in messages if m.ordering_key == f"room-{device}"
        ]
        assert times == sorted(times)
        assert len(times) == 40


def test_a_busy_service_is_asked_again_and_what_is_behind_waits(
    topic, table, incidents, monkeypatch
):
    name, got = topic
    chosen = PubSubPublisher(name, ordered=True)
    publish, sizes = chosen._client.publish, []

    def busy(**arguments):
        sizes.append(len(arguments["messages"]))
        if len(sizes) <= 2:
            raise ServiceUnavailable("away")
        return publish(**arguments)

    monkeypatch.setattr(chosen._client, "publish", busy)
    assert published(chosen, table, [incidents(range(1200))]) == []
    assert sizes == [1000, 1000, 1000, 200]
    assert len(got(1200)) == 1200


def test_a_message_that_is_too_large_costs_itself_only(topic, table, incidents):
    name, got = topic
    batch = incidents(range(4), explanation=["a", "x" * 10_500_000, "c", "d"])
    (row,) = published(PubSubPublisher(name, ordered=False), table, [batch])
    assert row.row_id.startswith("room-1/event/1")
    assert len(got(3)) == 3


def test_a_topic_that_is_not_there_costs_dead_letters(topic, table, incidents):
    publisher = PubSubPublisher("projects/p/topics/nowhere", ordered=False)
    refused = published(publisher, table, [incidents(range(3))])
    assert [row.reason for row in refused] == ["undelivered"] * 3
    assert "404" in refused[0].error
