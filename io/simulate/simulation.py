"""What is to be simulated: one frozen value."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np

MINUTE = 60_000_000  # µs

# What a long fault needs besides the warm-up, times its shortest length: itself, the return to
# normal after it, and some choice of when it begins.
ROOM_FOR_A_FAULT = 1.5


@dataclass(frozen=True)
class Simulation:
    """A fleet, its time and its troubles; equal simulations give equal bytes (with one numpy).

    Each concern (signals, faults, transport, ...) draws from a generator of its own, so changing
    the share of duplicates, say, leaves every value and every fault as it was.

    Args:
        devices: Number of devices.
        sites: Number of sites; devices are dealt out to them in turn.
        hours: Event time covered.
        cadence: Seconds between two readings of a device.
        start: Event time of the beginning; with a time zone.
        seed: Of everything random.
        jitter: A reading is taken up to so many seconds before or after its turn.
        disorder: The longest way of a message in seconds, unless it is late: what bounds the
            disorder, because nothing can be overtaken by more.
        duplicates: Share of the messages that are delivered twice, within a minute.
        late: Share of the readings that come minutes late, overtaken by later ones of the device.
        malformed: Share of the readings that arrive broken, in place of the reading.
        gathered: Share of the messages in which a site's gateway sends several readings at once.
        missing: Share of the readings that lack one channel.
        faulty: Share of the devices that have a fault, one each.
        warm_up: Hours before the first fault.
        outages: Sites whose gateway is gone for a while.
        fault_minutes: The shortest and the longest fault that is no spike, in minutes.
        outage_minutes: How long a gateway is gone, in minutes.

    Raises:
        ValueError: For a value that makes no sense, with the name of the field.

    Example:
        >>> Simulation(devices=60, hours=6.0, cadence=10.0).readings_per_device
        2160
    """

    devices: int = 60
    sites: int = 4
    hours: float = 6.0
    cadence: float = 10.0
    start: datetime = datetime(2026, 1, 5, 6, tzinfo=UTC)
    seed: int = 7
    jitter: float = 3.0
    disorder: float = 8.0
    duplicates: float = 0.01
    late: float = 0.003
    malformed: float = 0.02
    gathered: float = 0.01
    missing: float = 0.002
    faulty: float = 1 / 3
    warm_up: float = 1.0
    outages: int = 0
    fault_minutes: tuple[float, float] = (30.0, 90.0)
    outage_minutes: float = 12.0

    def __post_init__(self) -> None:
        for name in ("devices", "sites", "hours", "cadence"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)}")
        for name in ("jitter", "disorder", "warm_up", "seed", "outages"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")
        for name in ("duplicates", "late", "malformed", "gathered", "missing"):
            if not 0 <= getattr(self, name) <= 0.2:
                raise ValueError(f"{name} is a share from 0 to 0.2, not {getattr(self, name)}")
        if not 0 <= self.faulty <= 1:
            raise ValueError(f"faulty is a share from 0 to 1, not {self.faulty}")
        if self.jitter > 0.4 * self.cadence:
            raise ValueError("jitter must be at most .4 of the cadence: a device keeps its order")
        if not 0 < self.fault_minutes[0] <= self.fault_minutes[1]:
            raise ValueError(f"fault_minutes: the shortest, the longest; not {self.fault_minutes}")
        if not self.outage_minutes > 0:
            raise ValueError(f"outage_minutes must be more than 0, not {self.outage_minutes}")
        room = ROOM_FOR_A_FAULT * self.fault_minutes[0] / 60
        if self.faulty and self.hours < self.warm_up + room:
            raise ValueError(
                f"hours must be at least warm_up + {room:.3g} to hold a fault, "
                f"not {self.hours}; or let faulty be 0"
            )
        if self.start.tzinfo is None:
            raise ValueError("start must have a time zone")

    @property
    def start_time(self) -> int:
        """The start in µs since the epoch."""
        return (self.start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    @property
    def end_time(self) -> int:
        """The end in µs since the epoch; every event time is before it."""
        return self.start_time + round(self.hours * 3600e6)

    @property
    def readings_per_device(self) -> int:
        """How many readings a device without a fault takes."""
        return max(1, int(self.hours * 3600 / self.cadence + 1e-9))

    def generator(self, concern: str) -> np.random.Generator:
        """A generator for one concern, always in the same state."""
        return np.random.default_rng([self.seed, crc32(concern.encode())])
