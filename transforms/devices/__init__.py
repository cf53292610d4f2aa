"""One shard's devices: order, duplicates, state; what `Watch` is wired of."""
