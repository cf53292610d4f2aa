"""The options of Beam's Flink runner that a streaming job cannot do without.

They belong to the runner's Java side and Beam's Python side does not know them, so that
`beam_options` would refuse them. A class of options is all it takes: Beam finds it by itself.
"""

from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    StandardOptions,
)

RESUME = ("savepoint_path", "allow_non_restored_state")
FINISH = "shutdown_sources_after_idle_ms"


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
        }
        for name, words in numbers.items():
            parser.add_argument(f"--{name}", type=int, help=words)
        words = "Close open bundles before a checkpoint."
        parser.add_argument(
            "--finish_bundle_before_checkpointing", action="store_true", default=None, help=words
        )


def refuse_for_flink(flags: Sequence[str]) -> None:
    """Refuse what would do harm without a word.

    A savepoint is handed on to no cluster by Beam: the job would begin anew, read its stream a
    second time, and every row would be there twice. And a task that finishes when its source is
    idle never sees the checkpoint that its last files wait for.

    Raises:
        ValueError: The flags name one of them; the message says what to do.

    Example:
        >>> refuse_for_flink(["--savepoint_path=file:/save"])
        Traceback (most recent call last):
        ValueError: --savepoint_path: ... make flink-run ARGS="... --savepoint_path=file:/save"; ...
    """
    for flag in flags:
        name = flag.lstrip("-").partition("=")[0]
        if flag.startswith("--") and name in RESUME:
            raise ValueError(
                f"--{name}: Beam does not hand it on to the cluster, the job would begin anew and "
                "read its stream a second time. On a cluster of `make flink-up`: "
                f'make flink-run ARGS="... {flag}"; elsewhere name it where Flink is told of the '
                "job, such as in the Flink operator's `initialSavepointPath`"
            )
        if flag.startswith("--") and name == FINISH:
            raise ValueError(
                f"--{name}: a task that finishes never sees the checkpoint that its last files "
                "wait for. A bounded job ends by itself; end a stream with --stop-file or "
                "--stop-messages and then `python -m deploy.flink drain`"
            )


def cluster_address(options: PipelineOptions) -> str | None:
    """The REST API of the Flink cluster that a job is sent to, and then goes on without us.

    Example:
        >>> flags = ["--runner=FlinkRunner", "--flink_master=127.0.0.1:8081"]
        >>> cluster_address(PipelineOptions(flags))
        'http://127.0.0.1:8081'
        >>> cluster_address(PipelineOptions(["--runner=PrismRunner"]))
    """
    runner = options.view_as(StandardOptions).runner or ""
    master = str(options.view_as(FlinkRunnerOptions).flink_master)
    if "flink" not in runner.lower() or master.startswith("["):
        return None
    return master if "://" in master else f"http://{master}"
