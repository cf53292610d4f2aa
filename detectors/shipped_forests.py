"""The trees that are shipped, so that a worker of the default detector starts without River.

River is what builds trees (`eddyline.detectors.forest`). Importing it, with scipy and pandas, takes
a worker a second and 60 to 100 MB, and the default detector always asks for the same few trees.
`python -m eddyline.detectors.ship_forests` has River build those and writes them here, once; a test
has River build them again and compares.
"""

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_hexdigest


class Trees(NamedTuple):
    """What a forest is made of; see `Forest`."""

    feature: NDArray[np.uint16]
    threshold: NDArray[np.float64]


class Wanted(NamedTuple):
    """What River builds trees from; see `build_forest`."""

    features: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]
    n_trees: int
    height: int
    seed: int

    def key(self) -> str:
        """A name for these trees in the shipped file.

        Example:
            >>> Wanted(("t",), ((0, 1),), 10, 6, 42).key()
            '0e2c82ba64a5889d'
        """
        limits = [(float(low), float(high)) for low, high in self.limits]
        words = (self.features, limits, int(self.n_trees), int(self.height), int(self.seed))
        return xxh3_64_hexdigest(repr(words).encode())


def find_shipped(wanted: Wanted) -> Trees | None:
    """The shipped trees, equal to what River would build; None where they are not shipped.

    Raises:
        ValueError: The shipped file is not the one that its name promises.

    Example:
        >>> find_shipped(Wanted(("t",), ((-40.0, 85.0),), 10, 6, 7)) is None
        True
    """
    shipped, key = _shipped(), wanted.key()
    if f"{key}_feature" not in shipped:
        return None
    return Trees(shipped[f"{key}_feature"].astype(np.uint16), shipped[f"{key}_threshold"])


def pack_trees(trees: dict[Wanted, Trees]) -> tuple[str, bytes]:
    """The shipped file of these trees: its name, which holds a hash of its content, and content."""
    arrays: dict[str, NDArray[Any]] = {}
    for wanted, (feature, threshold) in trees.items():
        arrays[f"{wanted.key()}_feature"] = feature.astype(np.min_scalar_type(feature.max()))
        arrays[f"{wanted.key()}_threshold"] = threshold
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    return f"forests_{xxh3_64_hexdigest(content)}.npz", content


@cache
def _shipped() -> Any:
    for file in files("eddyline.detectors").iterdir():
        if file.name.startswith("forests_") and file.name.endswith(".npz"):
            content = file.read_bytes()
            if file.name != f"forests_{xxh3_64_hexdigest(content)}.npz":
                raise ValueError(f"{file.name}: its content is not what its name promises")
            return np.load(BytesIO(content), allow_pickle=False)
    return {}
