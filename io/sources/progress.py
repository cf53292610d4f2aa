"""How far a stream was read: the restriction of the splittable `DoFn`, and its checkpoint."""

from collections.abc import Iterable, Mapping

import msgspec
from apache_beam import coders
from msgspec import Struct, field
from msgspec.structs import replace

VERSION = 1
UNKNOWN = -(2**62)  # µs; a time before all others


class Partition(Struct, frozen=True, array_like=True):
    """How far one partition (shard, queue, topic partition) was read.

    Args:
        at: Where reading goes on, in the source's own words.
        seen: Nothing that is still unread arrived before it; µs since the epoch.
        ended: Whether it was read to its last message; nothing will follow.
        after: The partitions that have to end before this one begins.
    """

    at: str
    seen: int = UNKNOWN
    ended: bool = False
    after: tuple[str, ...] = ()


class Progress(Struct, frozen=True):
    """How far a reader's part of a stream was read.

    Guarantee: it says everything. A reader that is given it on another machine goes on without a
    loss, and without a repetition but for what the engine had not committed.

    Args:
        partitions: By name.
        messages: Taken so far.
        lane: Which of the parts that are read at the same time.
        done: Whether the source was told to end.

    Example:
        >>> parent, child = Partition("9", seen=5, ended=True), Partition("0", after=("a", "b"))
        >>> Progress({"a": parent, "b": Partition("4", seen=7), "c": child}).active
        ['b']
    """

    partitions: Mapping[str, Partition] = field(default_factory=dict[str, Partition])
    messages: int = 0
    lane: int = 0
    done: bool = False

    @property
    def active(self) -> list[str]:
        """The partitions that are to be read now, in the order of their names.

        What comes after a partition that is unknown here (expired, or another reader's) does not
        wait for it.
        """
        known = self.partitions
        return sorted(
            name
            for name, partition in known.items()
            if not partition.ended
            and all(parent not in known or known[parent].ended for parent in partition.after)
        )

    @property
    def seen(self) -> int:
        """Nothing unread arrived before it: the earliest of the active partitions; or `UNKNOWN`."""
        return min((self.partitions[name].seen for name in self.active), default=UNKNOWN)

    def read(self, partitions: Mapping[str, Partition], messages: int = 0) -> "Progress":
        """It, with these partitions read further by so many messages."""
        merged = {**self.partitions, **partitions}
        return replace(self, partitions=merged, messages=self.messages + messages)

    def only(self, names: Iterable[str], lane: int) -> "Progress":
        """The part of it that has these partitions."""
        kept = {name: self.partitions[name] for name in names}
        return replace(self, partitions=kept, lane=lane)


class Stored(Struct, frozen=True):
    """A checkpoint as it is kept."""

    version: int
    progress: Progress


class ProgressCoder(coders.Coder):
    """A checkpoint as JSON: what a running job's state holds, so later versions must read it."""

    def encode(self, value: Progress) -> bytes:
        """Its bytes."""
        return msgspec.json.encode(Stored(VERSION, value))

    def decode(self, encoded: bytes) -> Progress:
        """The progress that `encode` was given.

        Raises:
            ValueError: It is of a later version of eddyline.
        """
        stored = msgspec.json.decode(encoded, type=Stored)
        if stored.version > VERSION:
            raise ValueError(
                f"a checkpoint of version {stored.version}; this eddyline reads up to {VERSION}"
            )
        return stored.progress

    def is_deterministic(self) -> bool:
        """Partitions keep the order in which they were found."""
        return False

    def to_type_hint(self) -> type:
        """What it encodes."""
        return Progress

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))
