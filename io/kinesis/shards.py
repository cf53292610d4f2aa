"""The shards of a stream and how they descend from each other: pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from msgspec.structs import replace

from eddyline.io.sources.progress import Partition, Progress


class Shard(NamedTuple):
    """A shard, as ListShards has it.

    Attributes:
        name: Its id.
        parents: The shard it was split from, or the two it was merged of.
        first_key: Where its range of hash keys begins.
        closed: Whether it takes no more records.
    """

    name: str
    parents: tuple[str, ...]
    first_key: int
    closed: bool


def shard_of(listed: Mapping[str, Any]) -> Shard:
    """The shard of an entry of ListShards.

    Example:
        >>> entry = {"ShardId": "s2", "ParentShardId": "s0", "AdjacentParentShardId": "s1",
        ...          "HashKeyRange": {"StartingHashKey": "0"},
        ...          "SequenceNumberRange": {"StartingSequenceNumber": "7"}}
        >>> shard_of(entry)
        Shard(name='s2', parents=('s0', 's1'), first_key=0, closed=False)
    """
    parents = (listed.get("ParentShardId"), listed.get("AdjacentParentShardId"))
    return Shard(
        listed["ShardId"],
        tuple(parent for parent in parents if parent),
        int(listed["HashKeyRange"]["StartingHashKey"]),
        "EndingSequenceNumber" in listed["SequenceNumberRange"],
    )


def first_progress(shards: Iterable[Shard], at: str) -> Progress:
    """All shards, to be read from there on; parents before children."""
    ordered = sorted(shards, key=lambda shard: (shard.first_key, shard.name))
    return Progress({s.name: Partition(at, after=s.parents) for s in ordered})


def lanes(progress: Progress, number: int) -> list[Progress]:
    """At most so many parts, neighbours in the range of hash keys together.

    Shards that descend from each other stay in one part, so that it can read parents before
    children.

    Example:
        >>> merged = Partition("", after=("a", "b"))
        >>> whole = Progress({"a": Partition(""), "ab": merged, "b": Partition(""),
        ...                   "c": Partition("")})
        >>> [list(lane.partitions) for lane in lanes(whole, 3)]
        [['a', 'ab', 'b'], ['c']]
    """
    families: list[set[str]] = []
    for name, partition in progress.partitions.items():
        family = {name, *(p for p in partition.after if p in progress.partitions)}
        related = [other for other in families if other & family]
        if related:
            related[0].update(family, *related[1:])
            families = [other for other in families if other not in related[1:]]
        else:
            families.append(family)
    number = min(number, len(families)) or 1
    cuts = [round(len(families) * lane / number) for lane in range(number + 1)]
    parts: list[set[str]] = [
        set[str]().union(*families[first:last]) for first, last in pairwise(cuts)
    ]
    return [
        progress.only((name for name in progress.partitions if name in part), lane)
        for lane, part in enumerate(parts)
    ]


def with_children(progress: Progress, shards: Sequence[Shard], at: str) -> Progress:
    """It, with the shards that descend from its own; without ended ones that no longer exist.

    A merged shard goes to the reader of its first parent, so that it has one. A new shard's
    messages are younger than what its parents were seen to have.
    """
    listed = {shard.name for shard in shards}
    known = dict(progress.partitions)
    grown = True
    while grown:  # a child of a child, where reading is far behind
        new = {
            shard.name: Partition(
                at,
                max(known[parent].seen for parent in shard.parents if parent in known),
                after=shard.parents,
            )
            for shard in shards
            if shard.name not in known and _heir(shard, known, listed)
        }
        known |= new
        grown = bool(new)
    kept = {
        name: partition
        for name, partition in known.items()
        if name in listed or not partition.ended
    }
    return replace(progress, partitions=kept)


def _heir(shard: Shard, known: Mapping[str, Partition], listed: set[str]) -> bool:
    existing = [parent for parent in shard.parents if parent in known or parent in listed]
    return bool(existing) and existing[0] in known
