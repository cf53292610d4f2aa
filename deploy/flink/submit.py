"""`eddyline run` with the options filled in that a job on this cluster needs."""

import sys
from collections.abc import Sequence
from typing import Any

from deploy.flink.cluster import Cluster
from deploy.flink.parts import Parts

CHECKPOINT = 3_000  # ms
BUNDLE = 200  # ms; a longer bundle adds as much to every reading's way


def options(cluster: Cluster, parts: Parts, given: Sequence[str]) -> list[str]:
    """The flags for `eddyline run`: ours, then those given, which go first where both say it."""
    ours = {
        "runner": "FlinkRunner",
        "flink_master": cluster.rest.address,
        "flink_version": "1.19",
        "flink_submit_uber_jar": None,
        "flink_job_server_jar": parts.job_jar,
        "environment_type": "EXTERNAL",
        "environment_config": cluster.pool_address,
        "parallelism": 1,
        "max_parallelism": 128,
        "sdk_worker_parallelism": 1,
        "checkpointing_interval": CHECKPOINT,
        "max_bundle_time_mills": BUNDLE,
        "finish_bundle_before_checkpointing": None,
    }
    named = {flag.lstrip("-").partition("=")[0].replace("-", "_") for flag in given}
    kept = {name: value for name, value in ours.items() if name not in named}
    flags = [f"--{name}" if value is None else f"--{name}={value}" for name, value in kept.items()]
    return [*flags, *given]


def submit(cluster: Cluster, parts: Parts, given: Sequence[str]) -> None:
    """Run `eddyline run` with these options in this process; it ends with the job.

    With `--savepoint_path` the job goes on from that savepoint or checkpoint, or fails. Beam
    itself hands the path on to no cluster: its job would begin anew, without a word, and read the
    whole stream a second time.
    """
    # Beam takes seconds to import, which the other commands need not wait for.
    from apache_beam.runners.portability import flink_uber_jar_job_server

    from eddyline.pipeline.__main__ import main
    from eddyline.pipeline.flink_options import FlinkJobOptions

    class Resuming(flink_uber_jar_job_server.FlinkBeamJob):
        """Names the savepoint where the REST API of Flink asks for it."""

        def post(self, path: str, **request: Any) -> Any:
            flink = FlinkJobOptions(given)
            if path.endswith("/run") and flink.savepoint_path:
                request["json"]["savepointPath"] = flink.savepoint_path
                request["json"]["allowNonRestoredState"] = bool(flink.allow_non_restored_state)
            return super().post(path, **request)

    flink_uber_jar_job_server.FlinkBeamJob = Resuming
    sys.argv = ["eddyline", "run", *options(cluster, parts, given)]
    main()
