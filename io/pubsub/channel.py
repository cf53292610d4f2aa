"""The connection to Pub/Sub: it tries again soon after an outage."""

import os
from typing import Any

import grpc
from google.pubsub_v1.services.subscriber.transports.grpc import SubscriberGrpcTransport

OPTIONS = [
    # gRPC waits up to two minutes between two tries to connect: longer than most outages.
    ("grpc.max_reconnect_backoff_ms", 4_000),
    # Its 4 MiB are less than one message may have; what came with that would never be received.
    ("grpc.max_receive_message_length", -1),
]
EMULATOR = "PUBSUB_EMULATOR_HOST"


class PromptTransport(SubscriberGrpcTransport):
    """The client's own transport, with `OPTIONS`."""

    def __init__(self, *, channel: Any = None, **more: Any) -> None:
        if address := os.environ.get(EMULATOR):
            channel = grpc.insecure_channel(address, OPTIONS)
        super().__init__(channel=channel, **more)

    @classmethod
    def create_channel(cls, *address: Any, options: Any = (), **more: Any) -> grpc.Channel:
        """As the client does, with our options behind its own."""
        return super().create_channel(*address, options=[*options, *OPTIONS], **more)
