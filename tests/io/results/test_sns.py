"""Results to SNS topics, read back from an SQS queue; moto plays both."""

import base64
import json

import boto3
import pytest

from eddyline.io.results.sns import SnsPublisher
from eddyline.io.results.writer import ResultWriter

pytestmark = pytest.mark.job


@pytest.fixture
def topic(aws):
    """A topic, standard or FIFO, and what a queue that subscribed to it got."""

    def make(name):
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        arn = boto3.client("sns").create_topic(Name=name, Attributes=fifo)["TopicArn"]
        queue_fifo = {"FifoQueue": "true"} if fifo else {}
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName=name, Attributes=queue_fifo)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        boto3.client("sns").subscribe(
            TopicArn=arn, Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"]
        )

        def got():
            found = []
            while page := sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]
            ).get("Messages"):
                for message in page:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    group = message["Attributes"].get("MessageGroupId")
                    found.append((json.loads(message["Body"]), group))
            return found

        return arn, got

    return make


def published(arn, table, batches, encoding="json", patience=5.0):
    writer = ResultWriter(SnsPublisher(arn), encoding, patience)
    refused = writer.write(table("incidents"), batches)
    writer.close()
    return refused


def test_each_row_is_a_message_with_its_id(topic, table, incidents):
    arn, got = topic("standard")
    assert published(arn, table, [incidents(range(25))]) == []
    messages = [message for message, _ in got()]
    assert {json.loads(m["Message"])["incident_id"] for m in messages} == {
        f"room-{n % 5}/event/{n}" for n in range(25)
    }
    assert len({m["MessageAttributes"]["id"]["Value"] for m in messages}) == 25


def test_a_repeated_bundle_reaches_a_fifo_topic_once_and_in_order(topic, table, incidents):
    arn, got = topic("orderly.fifo")
    batch = incidents(range(12), device_id=[f"room {n % 3}" for n in range(12)])
    for _ in range(2):
        assert published(arn, table, [batch]) == []
    messages = got()
    assert len(messages) == 12
    by_group = {}
    for message, group in messages:
        by_group.setdefault(group, []).append(json.loads(message["Message"])["event_time"])
    assert len(by_group) == 3
    assert all(times == sorted(times) for times in by_group.values())


def test_avro_travels_as_text(topic, table, incidents):
    arn, got = topic("avro")
    assert published(arn, table, [incidents([1])], "avro") == []
    ((message, _),) = got()
    assert base64.b64decode(message["Message"])[:2] == b"\xc3\x01"
    assert message["MessageAttributes"]["content-encoding"]["Value"] == "base64"


def test_what_the_topic_refuses_is_a_dead_letter_and_what_it_could_not_take_is_sent_again(
    topic, table, incidents, monkeypatch
):
    arn, got = topic("partial")
    chosen = SnsPublisher(arn)
    publish, calls = chosen._client.publish_batch, []

    def partly(**arguments):
        entries = arguments["PublishBatchRequestEntries"]
        calls.append(len(entries))
        if len(calls) > 1:
            return publish(**arguments)
        publish(**{**arguments, "PublishBatchRequestEntries": entries[2:]})
        return {
            "Failed": [
                {"Id": "0", "Code": "InvalidParameter", "Message": "no", "SenderFault": True},
                {"Id": "1", "Code": "InternalError", "Message": "later", "SenderFault": False},
            ]
        }

    monkeypatch.setattr(chosen._client, "publish_batch", partly)
    (row,) = ResultWriter(chosen, "json", 5).write(table("incidents"), [incidents(range(6))])
    chosen.close()
    assert (row.reason, row.error) == ("undelivered", "InvalidParameter: no")
    assert calls == [6, 1]
    assert len(got()) == 5


def test_a_message_that_is_too_large_is_a_dead_letter(topic, table, incidents):
    arn, got = topic("large")
    batch = incidents(range(5), explanation=["ü" * 140_000, *"bcd", "y" * 200_000])
    (row,) = published(arn, table, [batch])
    assert row.reason == "too_large"
    assert len(got()) == 4


def test_a_topic_that_is_not_there_costs_dead_letters(aws, table, incidents):
    arn = "arn:aws:sns:eu-central-1:123456789012:nowhere"
    refused = published(arn, table, [incidents(range(3))])
    assert [row.reason for row in refused] == ["undelivered"] * 3
