"""How well the detectors detect: every labelled set, several detectors, one configuration each.

`python -m benchmarks.quality` measures and compares with the last time, or `make quality`.
"""
