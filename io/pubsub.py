"""Pub/Sub on Dataflow: Beam's own read, as messages."""

from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.pvalue import PBegin

from eddyline.schemas.message import Message


@dataclass
class ReadPubSub(beam.PTransform):
    """Read a subscription on Dataflow: event time and watermark are the publish time.

    Elsewhere Beam acknowledges a message before it is processed, so this is for Dataflow alone.

    Args:
        subscription: projects/PROJECT/subscriptions/NAME.
    """

    subscription: str

    def __post_init__(self) -> None:
        super().__init__()
        if not self.subscription.startswith("projects/"):
            raise ValueError(
                f"a subscription is projects/PROJECT/subscriptions/NAME, not {self.subscription!r}"
            )

    def expand(self, root: PBegin) -> beam.PCollection[Message]:
        """Wire it."""
        messages: Any = (
            root
            | "Read subscription"
            >> ReadFromPubSub(subscription=self.subscription, with_attributes=True)
            | "As message" >> beam.Map(as_message, self.subscription).with_output_types(Message)
        )
        return messages


def as_message(sent: PubsubMessage, subscription: str) -> Message:
    """The message; its arrival time is when it was published, its position the message id."""
    arrival = sent.publish_time
    return Message(
        payload=sent.data or b"",
        source=f"pubsub:{subscription}",
        position=sent.message_id or "",
        arrival_time=int(arrival.timestamp() * 1_000_000) if arrival else 0,
        attributes=dict(sent.attributes or {}),
    )
