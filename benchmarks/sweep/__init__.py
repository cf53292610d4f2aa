"""What a number of shards costs, over devices and cadence: `python -m benchmarks.sweep`."""
