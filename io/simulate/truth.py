"""What the job should find: counts that must come out to the last one, and the planted faults."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from eddyline.io.simulate.faults import Fault
from eddyline.io.simulate.outages import Outage
from eddyline.io.simulate.signals import Door


@dataclass(frozen=True)
class Truth:
    """The truth about one simulated stream.

    A message holds one item or, if a gateway gathered it, several. Always:
    `items = readings + duplicates + sum(malformed.values())`.

    Args:
        devices: Devices of the fleet, all of which report.
        start: Beginning of the simulated time, µs since the epoch.
        end: Its end.
        messages: Messages sent: lines of the file.
        bytes: Bytes of all payloads together.
        gathered: Messages that are arrays of readings.
        items: What is in the messages; a broken message is one item.
        readings: Valid ones, each counted once.
        duplicates: Items that say again what another one says, byte by byte or, where the device
            itself sent again, with the timestamp written differently.
        malformed: Items of each kind that are no reading.
        late: Readings (not items) that arrive minutes late, overtaken by three others of their
            device or more. All others arrive within `disorder` of their event time.
        out_of_order: Readings, without the late ones, that a later one of the device overtook.
        disorder: The bound in seconds.
        epoch: Readings whose timestamp is a number of milliseconds.
        missing: Readings without a value, by channel.
        minutes: Pairs of a device and a minute with at least one reading.
        faults: By start.
        outages: Of whole sites, by start.
        doors: Openings of doors: events that are no fault and should not alarm.
    """

    devices: int
    start: int
    end: int
    messages: int
    bytes: int
    gathered: int
    items: int
    readings: int
    duplicates: int
    malformed: dict[str, int]
    late: int
    out_of_order: int
    disorder: float
    epoch: int
    missing: dict[str, int]
    minutes: int
    faults: tuple[Fault, ...]
    outages: tuple[Outage, ...]
    doors: tuple[Door, ...]

    def write(self, path: Path) -> None:
        """Write it as JSON, a fault or door as an object."""
        fields = asdict(self)
        fields["faults"] = [fault._asdict() for fault in self.faults]
        fields["outages"] = [outage._asdict() for outage in self.outages]
        fields["doors"] = [door._asdict() for door in self.doors]
        path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Truth":
        """Read what `write` wrote: an equal truth.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not JSON.
            TypeError: It is not a truth.
        """
        fields = json.loads(path.read_text(encoding="utf-8"))
        faults = tuple(Fault(**fault) for fault in fields.pop("faults", ()))
        outages = tuple(Outage(**outage) for outage in fields.pop("outages", ()))
        doors = tuple(Door(**door) for door in fields.pop("doors", ()))
        return cls(**fields, faults=faults, outages=outages, doors=doors)
