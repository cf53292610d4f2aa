"""The files of a bounded run."""

from pathlib import Path
from typing import NamedTuple

from eddyline.io.simulate.registry import write_registry
from eddyline.io.simulate.simulation import Simulation
from eddyline.io.simulate.stream import simulate
from eddyline.io.simulate.truth import Truth


class Written(NamedTuple):
    """Where the files are, and the truth that is in the third one."""

    messages: Path
    devices: Path
    truth_file: Path
    truth: Truth


def write(simulation: Simulation, folder: Path) -> Written:
    r"""Write `messages.jsonl`, `devices.csv` and `truth.json`; files of these names are replaced.

    `messages.jsonl` has one message a line, in the order of arrival, each ended by one b"\n". A
    payload may hold any other byte, and the empty payload is an empty line: read it as bytes, split
    at b"\n" alone, skip nothing. `devices.csv` is the registry: device_id, site, latitude,
    longitude, model.

    Args:
        simulation: What to simulate.
        folder: Where; made if it is not there.

    Raises:
        OSError: The folder cannot be made or a file not be written.

    Example:
        >>> import tempfile
        >>> simulation = Simulation(devices=6, sites=2, hours=0.5, faulty=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write(simulation, Path(folder))
        ...     written.messages.read_bytes().count(b"\n") == written.truth.messages
        True
    """
    stream = simulate(simulation)
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(
        messages=folder / "messages.jsonl",
        devices=folder / "devices.csv",
        truth_file=folder / "truth.json",
        truth=stream.truth,
    )
    with written.messages.open("wb") as lines:
        lines.write(b"".join([payload + b"\n" for payload in stream.payloads]))
    write_registry(stream.fleet, written.devices)
    stream.truth.write(written.truth_file)
    return written
