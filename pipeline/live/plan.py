"""Plan: what a live run is to be, and the job's settings that follow from it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eddyline.pipeline.live.emulators import Emulated, SourceKind
from eddyline.pipeline.live.publisher import Publishing

WARM_UP = 300  # readings a device needs until its model is ready
FAULTS = 4.5  # minutes of a round after that
REPEATED = 75.0  # s after which no message comes again

# Faults last a minute or two here and not hours, and so do the policy's times.
POLICY: dict[str, Any] = {
    "defaults": {"quiet": "45s", "silence": {"factor": 3, "minimum": "10s"}},
    "storms": [{"devices": 10, "share": 0.3, "within": "5s"}],
    "channels": {"alerts": {"kind": "file", "path": "alerts.jsonl"}},
    "routes": [{"match": {"at_least": "info"}, "channels": ["alerts"]}],
}


@dataclass(frozen=True)
class Plan:
    """What to run.

    Args:
        devices: Devices of the simulated fleet.
        rate: Messages a second.
        seconds: How long; 0 for until it is stopped.
        source_kind: Which emulated service is between fleet and job.
        folder: Where the lake, the registry, the policy, the truth and the logs go.
        patience: Seconds for which there may be work and none is done.
        given: Settings that are not ours to choose.

    Raises:
        ValueError: A number makes no sense.
    """

    devices: int = 50
    rate: float = 300.0
    seconds: float = 0.0
    source_kind: SourceKind = "kinesis"
    folder: Path = Path("live")
    patience: float = 60.0
    given: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name in ("devices", "rate", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} must be more than 0, not {getattr(self, name)}")
        if not self.seconds >= 0:
            raise ValueError(f"--seconds must not be negative, it is {self.seconds}")

    @property
    def warm_up(self) -> float:
        """Minutes until every device has enough readings, and a little more.

        Example:
            >>> Plan(devices=50, rate=300.0).warm_up
            1.1
        """
        return round(1.15 * WARM_UP * self.devices / self.rate / 60 + 0.15, 1)

    def publishing(self, target: str) -> Publishing:
        """What the publisher is told."""
        return Publishing(
            target,
            self.devices,
            self.rate,
            str(self.folder),
            minutes=self.warm_up + FAULTS,
            warm_up=self.warm_up,
        )

    def settings(self, stream: Emulated) -> dict[str, Any]:
        """The settings of the job; its policy is written into the folder."""
        policy = self.folder / "policy.yaml"
        alerts = {"alerts": {"kind": "file", "path": str((self.folder / "alerts.jsonl").resolve())}}
        policy.write_text(
            "# Written by `eddyline live`; change it while the job runs.\n"
            + yaml.safe_dump({**POLICY, "channels": alerts}, sort_keys=False),
            encoding="utf-8",
        )
        return {
            "source": stream.source,
            "schema": "room",
            "devices": str(self.folder / "devices.csv"),
            "lake": str(self.folder / "lake"),
            "policy": str(policy),
            "policy_refresh": 5.0,
            "stop_file": str((self.folder / "stop").resolve()),
            "disorder": 3.0,
            # Prism keeps the parts of a minute for so long: an hour would be half a gigabyte.
            "allowed_lateness": 300,
            "shards": 4,
            "lake_shards": 1,
            # A device of this fleet sends more in a minute than others in an hour.
            "remember": max(64, round(REPEATED * self.rate / self.devices)),
            **self.given,
        }
