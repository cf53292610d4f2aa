"""The files behind what is known of devices, as a worker reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from eddyline.transforms.devices.registry import Registry, read_registry
from eddyline.transforms.devices.shard import shard_of
from eddyline.transforms.enrich import EMPTY
from eddyline.transforms.incidents.known import Known
from eddyline.transforms.policy.policy import DEFAULT, Policy, read_policy
from eddyline.transforms.reloaded import Reloaded


@dataclass(frozen=True)
class KnownFiles:
    """Where the registry and the policy are, and how often to look at them.

    Args:
        clock: Seconds that only grow, such as `time.monotonic`.
        registry: The registry file, or empty for none.
        policy: The policy file, or empty for the policy of no file.
        registry_refresh: Seconds between looks at the registry.
        policy_refresh: Seconds between looks at the policy.
    """

    clock: Callable[[], float]
    registry: str = ""
    policy: str = ""
    registry_refresh: float = 60.0
    policy_refresh: float = 60.0

    def __post_init__(self) -> None:
        for name in ("registry_refresh", "policy_refresh"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name)}")


class KnownByShard:
    """What is known, for each shard of a worker: the same value until one of the files changes.

    Args:
        files: The files.
        channels: The declared channels.
        shards: Number of shards.
    """

    def __init__(self, files: KnownFiles, channels: tuple[str, ...], shards: int) -> None:
        self.shards = shards
        self._registry: Reloaded[Registry] | None = None
        self._policy: Reloaded[Policy] | None = None
        if files.registry:
            parse = partial(read_registry, channels=channels)
            self._registry = Reloaded(
                files.registry, parse, files.registry_refresh, files.clock, "registry"
            )
        if files.policy:
            self._policy = Reloaded(
                files.policy, read_policy, files.policy_refresh, files.clock, "policy"
            )
        self._version: tuple[int, int] = (0, 0)
        self._known: dict[int, Known] = {}

    def of(self, shard: int) -> Known:
        """What is known of a shard's devices now."""
        registry = self._registry.current() if self._registry else EMPTY
        policy = self._policy.current() if self._policy else DEFAULT
        version = (
            self._registry.version if self._registry else 0,
            self._policy.version if self._policy else 0,
        )
        if version != self._version:
            self._version, self._known = version, {}
        if shard not in self._known:
            self._known[shard] = Known(
                registry, policy, lambda device: shard_of(device, self.shards) == shard
            )
        return self._known[shard]
