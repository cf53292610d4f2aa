"""Pub/Sub as a source, where the engine has none of its own that is safe."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from eddyline.io.pubsub.reader import PubSubReader
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock

TIMEOUT = 10.0  # s for a request that asks whether things are there


@dataclass(frozen=True)
class PubSub:
    """A subscription, pulled from and acknowledged to.

    Guarantee: a message is acknowledged only after the engine has committed the bundle that it
    came in; until then its lease is extended, at most for `longest` seconds. If the bundle was
    lost the message comes again: at once where the worker lives on, else when its lease has run
    out. Beam's own read acknowledges before anything was done, but for that of Dataflow. A
    subscription has no order, and an old message may come after the watermark.

    Args:
        subscription: projects/PROJECT/subscriptions/NAME.
        readers: So many pull at the same time.
        rows: Most messages a batch; a poll pulls that many where they are there.
        lease: Seconds for which a pulled message is kept from others; made longer as needed.
        longest: Seconds after which a message that nobody committed is let go.
        patience: Seconds for which a subscription that is gone while it is read may come back; one
            that is not there at the start is an error at once.

    Raises:
        ValueError: A value makes no sense.
    """

    acknowledges: ClassVar[bool] = True

    subscription: str
    readers: int = 1
    rows: int = 500
    lease: int = 60
    longest: float = 3600.0
    patience: float = 900.0

    def __post_init__(self) -> None:
        match self.subscription.split("/"):
            case ["projects", project, "subscriptions", name] if project and name:
                pass
            case _:
                raise ValueError(
                    "pubsub: a subscription is projects/PROJECT/subscriptions/NAME, "
                    f"not {self.subscription!r}"
                )
        if self.readers < 1 or self.rows < 1 or not 2 <= self.lease <= 600:
            raise ValueError("pubsub: readers and rows are at least 1, lease is 2 to 600 seconds")

    @property
    def name(self) -> str:
        """Such as `pubsub:projects/p/subscriptions/telemetry`."""
        return f"pubsub:{self.subscription}"

    def start(self) -> Progress:
        """One place for each reader; nobody has read yet."""
        self.check()
        return Progress({f"{reader:04d}": Partition("") for reader in range(self.readers)})

    def lanes(self, progress: Progress) -> Iterable[Progress]:
        """The readers."""
        return [progress.only([name], lane) for lane, name in enumerate(progress.partitions)]

    def open(self, clock: Clock) -> PubSubReader:
        """Open it."""
        return PubSubReader(self, self.client(), clock)

    def check(self) -> None:
        """Ask whether the subscription may be consumed; pulling would hide messages."""
        from google.api_core.exceptions import MethodNotImplemented

        from eddyline.io.pubsub.troubles import CONSUME, TROUBLES, denied, in_words

        client = self.client()
        wanted = {"resource": self.subscription, "permissions": [CONSUME]}
        try:
            try:
                answer = client.test_iam_permissions(request=wanted, timeout=TIMEOUT, retry=None)
            except MethodNotImplemented:  # the emulator
                client.get_subscription(subscription=self.subscription, timeout=TIMEOUT, retry=None)
                return
        except TROUBLES as error:
            raise in_words(error, self.name) from error
        finally:
            client.close()
        if CONSUME not in answer.permissions:
            raise denied(self.name)

    def client(self) -> Any:
        """A client of the service, or of an emulator (PUBSUB_EMULATOR_HOST).

        Raises:
            Unreadable: There are no credentials.
        """
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.pubsub_v1 import SubscriberClient

        from eddyline.io.pubsub.channel import EMULATOR, PromptTransport
        from eddyline.io.pubsub.troubles import TROUBLES, in_words

        credentials = AnonymousCredentials() if os.environ.get(EMULATOR) else None
        try:
            return SubscriberClient(transport=PromptTransport, credentials=credentials)
        except TROUBLES as error:
            raise in_words(error, self.name) from error
