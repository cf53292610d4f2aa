"""Publish to a Pub/Sub topic, or to that of an emulator (PUBSUB_EMULATOR_HOST)."""

from collections.abc import Sequence
from typing import Any

from eddyline.io.simulate.targets.target import Outgoing, Unsendable

TIMEOUT = 30.0  # s


class PubSubTarget:
    """Publishes messages; the key goes as the attribute `device_id`.

    Args:
        topic: projects/PROJECT/topics/NAME.
    """

    most = 500

    def __init__(self, topic: str) -> None:
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import pubsub_v1

        if not topic.startswith("projects/"):
            raise Unsendable(f"pubsub: a topic is projects/PROJECT/topics/NAME, not {topic!r}")
        self.topic = topic
        try:
            self.client: Any = pubsub_v1.PublisherClient()
        except DefaultCredentialsError as error:
            raise Unsendable(
                f"pubsub:{topic}: no Google credentials. Run `gcloud auth application-default "
                "login`, or set PUBSUB_EMULATOR_HOST for an emulator."
            ) from error

    def send(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Publish them and wait until the service has them."""
        from google.api_core.exceptions import (
            Forbidden,
            GoogleAPICallError,
            NotFound,
            RetryError,
            Unauthenticated,
        )

        sent = [
            self.client.publish(self.topic, message.payload, device_id=message.key)
            for message in messages
        ]
        refused: list[Outgoing] = []
        for message, future in zip(messages, sent, strict=True):
            try:
                future.result(TIMEOUT)
            except NotFound as error:
                raise Unsendable(f"pubsub:{self.topic}: there is no such topic") from error
            except (Forbidden, Unauthenticated) as error:
                raise Unsendable(
                    f"pubsub:{self.topic}: not allowed. It needs pubsub.topics.publish"
                ) from error
            except (GoogleAPICallError, RetryError, TimeoutError):
                refused.append(message)
        return refused

    def close(self) -> None:
        """Wait for the client's last requests."""
        self.client.stop()
