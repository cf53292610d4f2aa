"""Connectors: sources, the lake, the simulator. Heavy clients are imported where needed."""
