"""One shard of devices: models, incidents and what waits; as state, as a log and as a file."""
