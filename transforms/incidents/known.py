"""What is known of a shard's devices beside their readings: the registry and the policy."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eddyline.transforms.devices.registry import Registry
from eddyline.transforms.enrich import EMPTY
from eddyline.transforms.policy.policy import DEFAULT, Policy, Rule
from eddyline.transforms.policy.severity import Importance


class Place(NamedTuple):
    """Where a device is, and what it is."""

    site: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    model: str | None = None


class Known:
    """One version of the registry and of the policy, as one shard needs them.

    Args:
        registry: The registry.
        policy: The policy.
        belongs: Whether a device is the shard's, for `expected`; None where all are.
    """

    def __init__(
        self,
        registry: Registry = EMPTY,
        policy: Policy = DEFAULT,
        belongs: Callable[[str], bool] | None = None,
    ) -> None:
        self.registry, self.policy = registry, policy
        self.expected = tuple(d for d in registry.expected if belongs is None or belongs(d))

    def place(self, device: str) -> Place | None:
        r"""A device's place; None if the registry has not the device.

        Example:
            >>> from eddyline.transforms.devices.registry import read_registry
            >>> Known(read_registry("d.csv", b"device_id,site\na,Bern", [])).place("a").site
            'Bern'
        """
        row = self.registry.row.get(device)
        if row is None:
            return None
        return Place(*(column[row].as_py() for column in self.registry.places.columns))

    def importance(self, device: str) -> Importance:
        """How much it matters; normal where nothing is said."""
        row = self.registry.row.get(device)
        return "normal" if row is None else self.registry.importance[row]

    def rule(self, device: str) -> Rule:
        """What the policy says of it."""
        place = self.place(device) or Place()
        return self.policy.rule(device, place.site, place.model)

    def limits(self, device: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Its model's lower and upper limits by channel; None if the device is not known."""
        row = self.registry.row.get(device)
        return None if row is None else (self.registry.low[row], self.registry.high[row])
