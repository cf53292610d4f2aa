"""What every detector of a device's readings offers, and what it answers."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel


class Verdict(IntEnum):
    """What a detector, or the fleet around it, decided about one reading.

    Examples:
        >>> Verdict(2).name
        'WARM_UP'
    """

    NORMAL = 0
    ANOMALY = 1
    WARM_UP = 2
    """The model has not seen enough of this device; its score is NaN, never a number."""
    LATE = 3
    """Arrived after its place in the order was given away; stored, never learned."""
    UNSCORED = 4
    """The detector could not answer (a scoring endpoint failed); the reading is kept."""


class Explanation(NamedTuple):
    """Why one reading is an anomaly, in numbers and in one sentence.

    `channels` stand in order of their share in the score, largest first, and `shares` sums to 1.
    `observed` and the three `expected` values are those of `channels[0]`, in its unit; each is NaN
    where the detector has none.
    """

    channels: tuple[str, ...]
    shares: tuple[float, ...]
    sign: str
    """What made the score: level, innovation, volatility, season, stuck, joint, noise, ..."""
    observed: float
    expected: float
    expected_low: float
    expected_high: float
    sentence: str


class Scores(NamedTuple):
    """A detector's answer: one row a reading, in the order the readings were given."""

    score: NDArray[np.float64]
    """NaN where the verdict is WARM_UP or UNSCORED: "not ready" is never a number."""
    verdict: NDArray[np.uint8]
    """Values of `Verdict`."""
    alarms: NDArray[np.uint8]
    """Bit k is set where the detector's `kinds[k]` alarms: ANOMALY is exactly where it is not 0."""
    explanations: dict[int, Explanation]
    """Row to its reason, for exactly the ANOMALY rows."""
    extras: dict[str, NDArray[np.float64]]
    """Further outputs by name, one value a reading; may be empty."""


class RecordRefused(ValueError):
    """A device record could not be read back; `reason` is a short constant fit for a counter.

    Reasons: truncated, foreign, version, detector, settings, channels, corrupt. The row of the
    state that was to be filled is as `Detector.new` makes it, so the caller counts the reason and
    the device starts a warm-up.

    Args:
        reason: One of the reasons above.
        detail: What was found, for a person.

    Examples:
        >>> str(RecordRefused("truncated", "3 bytes"))
        'truncated: 3 bytes'
        >>> RecordRefused("truncated").reason
        'truncated'
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["RecordRefused"], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


class Detector(Protocol):
    """One small online model for every device of a fleet.

    A detector is a frozen dataclass of its settings and holds no model itself, so one value serves
    all devices, threads and workers and pickles by its settings. The models are the rows of a
    structured array that `new` makes and the caller keeps.
    """

    name: ClassVar[str]
    """What the registry and the device records call it: "half_space_trees", ..."""
    kinds: ClassVar[tuple[str, ...]]
    """The incident kinds its alarms are of, 1 to 8: "event" is of one reading, "condition" a state
    that lasts."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels it reads, in the order of the columns of `values`."""
        ...

    @property
    def thresholds(self) -> tuple[float, ...]:
        """From where on it alarms, one a kind, in the unit of its score."""
        ...

    def new(self, devices: int) -> NDArray[Any]:
        """Return fresh models, one row a device, in a little-endian structured dtype."""
        ...

    def observe(
        self,
        state: NDArray[Any],
        device: NDArray[np.int32],
        event_time: NDArray[np.int64],
        values: NDArray[np.float64],
        thresholds: NDArray[np.float64] | None = None,
    ) -> Scores:
        """Score, then learn, row by row in the order given; changes `state` in place.

        Any split of the rows into calls gives bit-identical scores, verdicts, explanations and
        state. Devices do not touch each other. NaN rows, constant channels, first readings and
        jumps in time are answered like any other.

        Args:
            state: What `new` made, or `decode` filled.
            device: Row of `state` for each reading, shape `[n]`.
            event_time: Microseconds since the epoch, shape `[n]`; ascending for each device.
            values: Finite channel values, NaN where missing, shape `[n, channels]`.
            thresholds: One a device and kind, `[devices, len(kinds)]` by row of `state`, in place
                of the detector's own; NaN where its own counts, infinity for never. They change
                verdicts, alarms and explanations and never what is learned.

        Returns:
            One score and verdict for each reading.
        """
        ...

    def rebaseline(self, state: NDArray[Any], row: int) -> None:
        """Take a device's present regime for normal, as an operator says; changes its row.

        What a reading is compared with moves to the device's last readings at once and its alarms
        end. What was learned besides goes on: no new warm-up. A device that has seen nothing stays
        as it is.

        Raises:
            IndexError: The fleet has no such row.
        """
        ...

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return one device's model as a self-describing record.

        The record starts with magic, format version, detector name and settings hash. A model that
        was decoded from it goes on bit-equal to the one that was encoded.
        """
        ...

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all; a fraction of `encode`'s time."""
        ...

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row of `state` from a record.

        Raises:
            RecordRefused: The record is truncated, foreign, corrupt, of other settings or of an
                unknown version. The row is then fresh, as `new` makes it.
        """
        ...

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows of `state`, or the first ones, from records.

        Args:
            records: One for each row.
            state: The fleet; changed in place.
            rows: No row twice.

        Returns:
            Position in `records` to the reason, for those refused; their rows are fresh.
        """
        ...
