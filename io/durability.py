"""Durability: when what a bundle did cannot be undone any more."""

from typing import Literal

Durability = Literal["bundle", "checkpoint"]


def durability_of(runner: str | None) -> Durability:
    """With a checkpoint on Flink, elsewhere with the bundle itself.

    Raises:
        ValueError: The runner is a name for any engine.

    Example:
        >>> durability_of("FlinkRunner"), durability_of("FnApiRunner")
        ('checkpoint', 'bundle')
    """
    if runner and "portable" in runner.lower():
        raise ValueError(
            f"--runner={runner}: name the engine, --runner=FlinkRunner or --runner=PrismRunner. "
            "On Flink rows are safe with a checkpoint, elsewhere with their bundle"
        )
    return "checkpoint" if runner and "flink" in runner.lower() else "bundle"
