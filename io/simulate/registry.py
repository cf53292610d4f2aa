"""The registry of a simulated fleet."""

import csv
from pathlib import Path

from eddyline.io.simulate.fleet import Fleet


def write_registry(fleet: Fleet, path: Path) -> None:
    """Write it as CSV: device_id, site, latitude, longitude, model; a row a device.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> from eddyline.io.simulate.fleet import draw_fleet
        >>> from eddyline.io.simulate.simulation import Simulation
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "devices.csv"
        ...     write_registry(draw_fleet(Simulation(devices=3)), path)
        ...     path.read_text().splitlines()[1].split(",")[:2]
        ['harbour-001', 'harbour']
    """
    with path.open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["device_id", "site", "latitude", "longitude", "model"])
        rows.writerows(
            zip(
                fleet.device_id,
                (fleet.site_name[site] for site in fleet.site.tolist()),
                fleet.latitude.tolist(),
                fleet.longitude.tolist(),
                (model.name for model in fleet.model),
                strict=True,
            )
        )
