"""Streams that are read forever: one frame, and a table of the sources that stand in it.

`source.py` says what a source is, `read.py` runs any of them as one splittable `DoFn`, `table.py`
makes them from their names.
"""
