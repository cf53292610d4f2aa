"""How the model of one device lies in memory: one row of a fleet's structured array."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Counters(NamedTuple):
    """A uint16 array of a device's model that is mostly zero.

    Of the last axis only the counters from `start` on go into a record.
    """

    name: str
    shape: tuple[int, ...]
    start: int = 0


@dataclass(frozen=True)
class Layout:
    """Fields of each channel, then those of the device, then its counters; all little-endian.

    A model that has seen nothing is all zero.

    Args:
        channels: How many channels.
        channel: Fields of each channel as (name, numpy format). They stand together under
            "channel": `state["channel"]["mean"]` has the shape `[devices, channels]`.
        device: Fields of the device as (name, numpy format).
        counters: The sparse part; all write the same number of counters of their last axis.

    Raises:
        ValueError: A field is not aligned, or the counters do not come in multiples of 8.

    Examples:
        >>> layout = Layout(
        ...     channels=2,
        ...     channel=(("mean", "<f8"),),
        ...     device=(("seen", "<i8"),),
        ...     counters=(Counters("mass", (10, 64)),),
        ... )
        >>> layout.dtype.itemsize, layout.plain, len(layout.groups), layout.length
        (1304, 24, 10, 64)
    """

    channels: int
    channel: tuple[tuple[str, str], ...]
    device: tuple[tuple[str, str], ...] = ()
    counters: tuple[Counters, ...] = ()
    plain: int = field(init=False)
    """Bytes at the start of a row that a record holds as they are."""
    length: int = field(init=False)
    """Counters in a group: what a record takes of the last axis."""

    def __post_init__(self) -> None:
        offsets = self._offsets
        object.__setattr__(self, "plain", min(offsets.values(), default=self.dtype.itemsize))
        lengths = {counters.shape[-1] - counters.start for counters in self.counters} or {8}
        object.__setattr__(self, "length", max(lengths))
        # The codec reads counters by words of 8 bytes; compiled code takes fields as aligned.
        state = np.zeros(2, self.dtype)
        fields = [state[name] for name, _ in self.device]
        fields += [state["channel"][name] for name, _ in self.channel]
        if (
            len(lengths) != 1
            or self.length <= 0
            or any(number % 8 for number in (self.length, self.dtype.itemsize, *self.groups))
            or not all(view.flags.aligned for view in fields)
        ):
            raise ValueError(f"layout: fields must be aligned, counters come by eights: {self}")

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of a row of the fleet."""
        return np.dtype(
            [
                ("channel", list(self.channel), (self.channels,)),
                *self.device,
                *((counters.name, "<u2", counters.shape) for counters in self.counters),
            ]
        )

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Where each group of counters starts in a row, in bytes."""
        return np.array(
            [
                self._offsets[counters.name] + 2 * (row * counters.shape[-1] + counters.start)
                for counters in self.counters
                for row in range(int(np.prod(counters.shape[:-1])))
            ],
            dtype=np.int64,
        )

    @property
    def _offsets(self) -> dict[str, int]:
        fields: Any = self.dtype.fields
        return {counters.name: int(fields[counters.name][1]) for counters in self.counters}

    def new(self, devices: int) -> NDArray[Any]:
        """Return fresh models, one row a device."""
        return np.zeros(devices, self.dtype)


def bytes_of(state: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a contiguous fleet as bytes that share its memory, shape `[devices, bytes]`.

    Examples:
        >>> bytes_of(np.array([1, 2], dtype="<u2")).tolist()
        [[1, 0], [2, 0]]
    """
    return state.view(np.uint8).reshape(len(state), state.dtype.itemsize)
