"""Pub/Sub: Beam's own read on Dataflow (`dataflow.py`), our own source elsewhere (`source.py`)."""
