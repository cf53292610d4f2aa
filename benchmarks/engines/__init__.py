"""Readings a second a core and latency on Prism and on Flink: `python -m benchmarks.engines`."""
