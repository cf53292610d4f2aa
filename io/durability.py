"""Durability: when what a bundle did cannot be undone any more."""

from typing import Literal

Durability = Literal["bundle", "checkpoint"]


def durability_of(runner: str | None) -> Durability:
    """With a checkpoint on Flink, elsewhere with the bundle itself.

    Example:
        >>> durability_of("FlinkRunner"), durability_of("FnApiRunner")
        ('checkpoint', 'bundle')
    """
    return "checkpoint" if runner and "flink" in runner.lower() else "bundle"
