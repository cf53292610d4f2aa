"""SNS against moto's server, read by a queue that subscribes."""

import json

import pytest

from eddyline.io.alerts.senders import open_sender
from eddyline.io.alerts.sns import ascii_subject, publication
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import Limits, SnsChannel

REGION = "eu-central-1"


@pytest.fixture
def start_topic(aws):
    def start(name):
        sns = aws("sns")
        sqs = aws("sqs")
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        topic = sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        fifo = {"FifoQueue": "true"} if fifo else {}
        url = sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"])

        def arrived():
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            return [json.loads(message["Body"]) for message in got]

        return topic, arrived

    return start


@pytest.mark.job
def test_an_alert_arrives_with_its_attributes(start_topic, moto, alert):
    topic, arrived = start_topic("alerts")
    assert open_sender(SnsChannel(topic=topic, endpoint=moto)).send(alert()) == "200"
    (message,) = arrived()
    assert message["Subject"].startswith("freezer-7 (Test): ")
    attributes = {name: a["Value"] for name, a in message["MessageAttributes"].items()}
    assert attributes["key"] == "eddyline-test:0:opened"
    assert (attributes["severity"], attributes["kind"]) == ("warning", "event")


@pytest.mark.job
def test_a_fifo_topic_tells_a_repeated_alert_once(start_topic, moto, alert):
    topic, arrived = start_topic("alerts.fifo")
    sender = open_sender(SnsChannel(topic=topic, endpoint=moto))
    for _ in range(3):
        sender.send(alert())
    sender.send(alert("resolved", 1))
    keys = [m["MessageAttributes"]["key"]["Value"] for m in arrived()]
    # moto's topic hands the id on to the queue, which deduplicates by it.
    assert keys == ["eddyline-test:0:opened", "eddyline-test:1:resolved"]


@pytest.mark.job
def test_a_topic_that_is_not_there_is_permanent(aws, moto, alert):
    channel = SnsChannel(topic=f"arn:aws:sns:{REGION}:123456789012:gone", endpoint=moto)
    with pytest.raises(Failed) as failed:
        open_sender(channel).send(alert())
    assert (failed.value.permanent, failed.value.status) == (True, "NotFound")


THROTTLED = b"""<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>
<Message>Rate exceeded</Message></Error></ErrorResponse>"""


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((400, {}, THROTTLED), "Throttling"),
        ((500, {}, b""), "500"),
        ("hang", "timeout"),
        ("reset", None),
    ],
)
def test_what_may_pass_is_tried_again_by_us_alone(
    answer, status, start_peer, aws_credentials, alert
):
    peer = start_peer(answer)
    channel = SnsChannel(
        topic=f"arn:aws:sns:{REGION}:123456789012:t", endpoint=peer.url, limits=Limits(timeout=1)
    )
    with pytest.raises(Failed) as failed:
        open_sender(channel).send(alert())
    assert not failed.value.permanent
    assert status in (None, failed.value.status)
    assert len(peer.requests) == 1


def test_each_protocol_gets_what_it_reads(alert):
    told = publication(alert(), "arn:aws:sns:eu-central-1:123456789012:t")
    bodies = json.loads(told["Message"])
    assert bodies["sms"].startswith("freezer-7 (Test): ")
    assert "Observed:" in bodies["default"]
    assert json.loads(bodies["sqs"])["incident"]["device_id"] == "freezer-7"
    assert "MessageGroupId" not in told


@pytest.mark.parametrize("subject", ["", "°", "🔥 hot", "a\nb", "x" * 300, "Zürich – 5 °C"])
def test_any_subject_becomes_one_that_sns_takes(subject):
    plain = ascii_subject(subject)
    assert 0 < len(plain) < 100
    assert plain.isascii()
    assert plain[0].isalnum()
    assert "\n" not in plain
