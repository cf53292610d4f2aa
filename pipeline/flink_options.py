"""The options of Beam's Flink runner that a streaming job cannot do without.

They belong to the runner's Java side and Beam's Python side does not know them, so that
`beam_options` would refuse them. A class of options is all it takes: Beam finds it by itself.
"""

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions


class FlinkJobOptions(PipelineOptions):
    """Options that go to Flink as they are; only those that are given.

    Example:
        >>> PipelineOptions(["--checkpointing_interval=3000"]).view_as(
        ...     FlinkJobOptions
        ... ).checkpointing_interval
        3000
    """

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        """Declare them, with Beam's names: `mills` is how the runner spells it."""
        numbers = {
            "checkpointing_interval": "Milliseconds between two checkpoints.",
            "checkpoint_timeout_millis": "Milliseconds after which a checkpoint has failed.",
            "min_pause_between_checkpoints": "Milliseconds from one checkpoint to the next.",
            "max_bundle_size": "Most elements a bundle.",
            "max_bundle_time_mills": "Milliseconds after which a bundle is closed.",
            "shutdown_sources_after_idle_ms": "Milliseconds without data that end a bounded job.",
        }
        for name, words in numbers.items():
            parser.add_argument(f"--{name}", type=int, help=words)
        parser.add_argument("--savepoint_path", help="Savepoint or checkpoint to resume from.")
        for name, words in {
            "finish_bundle_before_checkpointing": "Close open bundles before a checkpoint.",
            "allow_non_restored_state": "Leave out state that no step asks for any more.",
        }.items():
            parser.add_argument(f"--{name}", action="store_true", default=None, help=words)
