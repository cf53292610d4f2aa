"""How evenly shards spread over workers: pure chance, since an engine hashes its keys."""

import numpy as np


def busiest(shards: int, workers: int, draws: int = 2_000, seed: int = 1) -> float:
    """What the busiest worker has, in shares of an even spread, on average over many fleets.

    A shard's worker is drawn at random, as a hash does.

    Example:
        >>> busiest(shards=16, workers=1)
        1.0
        >>> busiest(shards=256, workers=4) < busiest(shards=16, workers=4)
        True
    """
    random = np.random.default_rng(seed)
    worker = random.integers(0, workers, (draws, shards))
    counts = (worker[:, :, None] == np.arange(workers)).sum(1)
    return round(float(counts.max(1).mean()) * workers / shards, 2)
