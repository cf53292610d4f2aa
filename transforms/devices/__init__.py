"""Which readings a shard takes, in which order; what a device is known to be."""
