"""What a target of the publisher is."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Unsendable(OSError):
    """The target takes nothing as things are; the words say what to do about it."""


class Outgoing(NamedTuple):
    """A message to be sent.

    Attributes:
        key: The device's id where it can be read, else something stable: messages of one key keep
            their order where the target has one.
        payload: Its bytes.
    """

    key: str
    payload: bytes


class Target(Protocol):
    """A place that takes messages.

    Attributes:
        most: Messages that one `send` takes.
    """

    most: int

    def send(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Send them; gives back those that were not taken now and may be tried again.

        Raises:
            Unsendable: It will not take them by itself: no permission, no such target.
        """
        ...

    def close(self) -> None:
        """See that everything that was taken is on its way."""
        ...
