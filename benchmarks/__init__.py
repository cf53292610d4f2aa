"""Measurements of the whole thing: how fast it is, and how well it detects."""
