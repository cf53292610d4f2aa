"""Pub/Sub on Dataflow: Beam's own read, as messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.pvalue import PBegin
from apache_beam.utils.timestamp import Timestamp

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
            | "As message" >> beam.ParDo(AsMessage(self.subscription)).with_output_types(Message)
        )
        return messages


class AsMessage(beam.DoFn):
    """A Pub/Sub message as ours; its event time so far is when it was published."""

    def __init__(self, subscription: str) -> None:
        self.subscription = subscription

    def process(
        self, sent: PubsubMessage, published: Any = beam.DoFn.TimestampParam
    ) -> Iterator[Message]:
        """Convert one."""
        yield as_message(sent, self.subscription, published)


def as_message(sent: PubsubMessage, subscription: str, published: Timestamp) -> Message:
    """The message; its arrival time is when it was published, its position the message id."""
    return Message(
        payload=sent.data or b"",
        source=f"pubsub:{subscription}",
        position=sent.message_id or "",
        arrival_time=published.micros,
        attributes=dict(sent.attributes or {}),
    )
