"""Pub/Sub messages as messages."""

import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.utils.timestamp import Timestamp

from eddyline.io.pubsub.dataflow import ReadPubSub, as_message
from eddyline.schemas.message import Message

NAME = "projects/p/subscriptions/s"


def test_a_message_arrives_when_it_was_published():
    sent = PubsubMessage(b"{}", {"type": "data"}, message_id="77")
    assert as_message(sent, NAME, Timestamp(micros=1_767_312_000_123_457)) == Message(
        b"{}", f"pubsub:{NAME}", "77", 1_767_312_000_123_457, {"type": "data"}
    )


def test_a_message_of_attributes_alone_has_an_empty_payload():
    sent = PubsubMessage(None, {"type": "beat"})
    message = as_message(sent, NAME, Timestamp(5))
    assert (message.payload, message.position, message.attributes) == (b"", "", {"type": "beat"})


def test_a_subscription_is_named_in_full():
    with pytest.raises(ValueError, match=r"projects/PROJECT/subscriptions/NAME, not 'mine'"):
        ReadPubSub("mine")
