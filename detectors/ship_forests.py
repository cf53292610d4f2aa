"""`python -m eddyline.detectors.ship_forests`: have River build the default detector's trees.

To be run again when the default detector's forests change, or for more channels. It writes
`forests_<hash>.npz` beside this file and takes an older one away; other devices' states do not
survive other trees, so a change needs another recipe number of the detector too.
"""

from pathlib import Path

from eddyline.detectors.forest import grow_forest
from eddyline.detectors.shipped_forests import Trees, Wanted, pack_trees

CHANNELS = 8
"""Up to so many channels of a device a worker starts without River."""


def default_forests() -> list[Wanted]:
    """What the default detector asks for, for 1 to `CHANNELS` channels: two features each.

    Example:
        >>> [len(wanted.features) for wanted in default_forests()]
        [2, 4, 6, 8, 10, 12, 14, 16]
    """
    wanted: list[Wanted] = []
    for channels in range(1, CHANNELS + 1):
        names = tuple(f"{number:03d}" for number in range(2 * channels))
        limits = ((0.0, 1.0),) * len(names)
        wanted.append(Wanted(names, limits, n_trees=10, height=6, seed=42))
    return wanted


def ship_forests(folder: Path) -> Path:
    """Write the shipped file into a folder, in place of an older one."""
    trees: dict[Wanted, Trees] = {}
    for wanted in default_forests():
        trees[wanted] = grow_forest(wanted)
    name, content = pack_trees(trees)
    for older in folder.glob("forests_*.npz"):
        older.unlink()
    (folder / name).write_bytes(content)
    return folder / name


if __name__ == "__main__":
    ship_forests(Path(__file__).parent)
