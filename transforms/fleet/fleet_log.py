"""The fleet log: a shard's state as a base, and a log of what changed since.

Three cells of an engine's state: the base (a fleet's whole bytes), the log (a bag of deltas) and a
small mark that says what the two hold. Whoever has decoded that already reads the mark alone.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from xxhash import xxh3_64_intdigest

from eddyline.transforms.fleet.fill_fleet import fill
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_codec import VERSION, encode_fleet, take_apart, version_of
from eddyline.transforms.fleet.fleet_delta import Delta, decode_delta, delta_of, encode_delta
from eddyline.transforms.fleet.fleet_parts import FleetRefused

SHARE = 0.5
"""Of the devices: where a touch changes the models of more, the base is written at once."""
LARGEST = 1.0
"""Times the bytes of the base that the log may grow to."""
MOST_DELTAS = 1_000
"""Deltas in the log: reading back takes 0.12 ms for each."""
_MARK = struct.Struct("<4sHQIQQ")
_MAGIC, _VERSION = b"EDFM", 1


class Value(Protocol):
    """A cell that holds one value, as Beam's `ReadModifyWriteState`."""

    def read(self) -> bytes | None:
        """The value; None for none."""
        ...

    def write(self, value: bytes) -> None:
        """Put a value in its place."""
        ...


class Bag(Protocol):
    """A cell that holds many values in no order, as Beam's `BagState`."""

    def read(self) -> Iterable[bytes]:
        """All values."""
        ...

    def add(self, value: bytes) -> None:
        """Put one more into it."""
        ...

    def clear(self) -> None:
        """Take all out."""
        ...


class Mark(NamedTuple):
    """What base and log hold.

    Args:
        digest: Of the base and all deltas, in their order.
        deltas: How many deltas the log has.
        log: Their bytes.
        base: Bytes of the base.
    """

    digest: int
    deltas: int
    log: int
    base: int


class FleetLog:
    """A shard's fleet in three cells of state.

    Guarantee: a fleet that is read goes on bit for bit as the one that was written. A log that has
    lost, doubled or mixed up a delta is refused; its order in the bag does not matter. Of old
    state, with neither log nor mark, the base is all there is.

    A touch writes what it changed, or the base and an empty log: where it changed most models, or
    the log would become larger than the base, or too long to be read back. So over time no more is
    written than twice what changed and, at each touch, a thousandth of the fleet; nor (but for the
    mark) more than the whole fleet at each touch. No more is read back than twice the base.

    Args:
        base: Holds the whole fleet.
        log: Holds the deltas.
        mark: Holds the `Mark`.

    Raises:
        FleetRefused: The mark is none, or of a version from the future.
    """

    def __init__(self, base: Value, log: Bag, mark: Value) -> None:
        self._base, self._log, self._cell = base, log, mark
        self._mark = self._read_mark()

    @property
    def digest(self) -> int | None:
        """Stands for what the state holds; None where it holds nothing."""
        return None if self._mark is None else self._mark.digest

    def read(self, fleet: Fleet) -> int:
        """Fill a new fleet; see `fill`.

        Returns:
            How many models were refused.

        Raises:
            FleetRefused: The state is no fleet, truncated, damaged, or of a version from the
                future; base and log do not belong together; or readings wait of which a channel has
                become another type.
        """
        base, mark = self._base.read(), self._mark
        if base is None or mark is None:
            raise FleetRefused("the changes of a fleet are there and the fleet is not")
        digest, log = xxh3_64_intdigest(base), list(self._log.read()) if mark.deltas else []
        deltas, digest = in_order(digest, log)
        if digest != mark.digest:
            raise FleetRefused(
                f"a fleet of {len(base)} bytes and {len(log)} changes in place of one of "
                f"{mark.base} and {mark.deltas}, or not of the same ones"
            )
        refused = fill(fleet, take_apart(base), deltas)
        fleet.settle()
        # Deltas must not come behind records that are refused, or that another release refuses.
        fleet.changes.everything = refused > 0 or version_of(base) != VERSION
        return refused

    def write(self, fleet: Fleet) -> int:
        """Write what changed of the fleet since it was read or written last.

        Returns:
            The digest that stands for it.
        """
        self._mark = mark = self._add(fleet) or self._write_base(fleet)
        self._cell.write(_MARK.pack(_MAGIC, _VERSION, *mark))
        fleet.settle()
        return mark.digest

    def _add(self, fleet: Fleet) -> Mark | None:
        mark, changes = self._mark, fleet.changes
        if mark is None or changes.everything or mark.deltas >= MOST_DELTAS:
            return None
        if changes.judged.sum() > SHARE * len(changes.judged):
            return None
        encoded = encode_delta(delta_of(fleet), mark.digest)
        size = mark.log + len(encoded)
        if size > LARGEST * mark.base:
            return None
        self._log.add(encoded)
        return Mark(xxh3_64_intdigest(encoded), mark.deltas + 1, size, mark.base)

    def _write_base(self, fleet: Fleet) -> Mark:
        base = encode_fleet(fleet)
        self._base.write(base)
        if self._mark is not None and self._mark.deltas:
            self._log.clear()
        return Mark(xxh3_64_intdigest(base), 0, 0, len(base))

    def _read_mark(self) -> Mark | None:
        encoded = self._cell.read()
        if encoded is None:
            base = self._base.read()
            return None if base is None else Mark(xxh3_64_intdigest(base), 0, 0, len(base))
        if len(encoded) != _MARK.size:
            raise FleetRefused(f"{len(encoded)} bytes are no mark of a fleet")
        magic, version, *numbers = _MARK.unpack(encoded)
        if magic != _MAGIC or version != _VERSION:
            raise FleetRefused(f"no mark of version {_VERSION}: it begins with {encoded[:6]!r}")
        return Mark(*numbers)


def in_order(digest: int, log: Iterable[bytes]) -> tuple[list[Delta], int]:
    """The deltas of a log in their order, and the digest of the state that the last one gives.

    Args:
        digest: Of the base.
        log: In any order.

    Raises:
        FleetRefused: One is no delta, or damaged; or they do not all follow each other.
    """
    following: dict[int, tuple[Delta, int]] = {}
    for encoded in log:
        before, delta = decode_delta(encoded)
        if before in following:
            raise FleetRefused("two changes follow the same state of a fleet")
        following[before] = delta, xxh3_64_intdigest(encoded)
    deltas: list[Delta] = []
    while digest in following:
        delta, digest = following.pop(digest)
        deltas.append(delta)
    if following:
        raise FleetRefused(f"{len(following)} changes follow no state of this fleet")
    return deltas, digest
