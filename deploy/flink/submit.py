"""`eddyline run` with the options filled in that a job on this cluster needs."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.flink.cluster import Cluster
from deploy.flink.parts import Parts

CHECKPOINT = 3_000  # ms
# ms; without one a step may hear that a checkpoint is complete after the next one's snapshot, and
# the lake's commit (io/lake/confirmation.py) needs it before.
PAUSE = 500
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
        "min_pause_between_checkpoints": PAUSE,
        "max_bundle_time_mills": BUNDLE,
        "finish_bundle_before_checkpointing": None,
    }
    named = {flag.lstrip("-").partition("=")[0].replace("-", "_") for flag in given}
    kept = {name: value for name, value in ours.items() if name not in named}
    flags = [f"--{name}" if value is None else f"--{name}={value}" for name, value in kept.items()]
    return [*flags, *given]


def submit(cluster: Cluster, parts: Parts, given: Sequence[str], resume: Mapping[str, Any]) -> None:
    """Run `eddyline run` with these options in this process; it ends with the job.

    Args:
        cluster: Where.
        parts: Of the cluster.
        given: Options of `eddyline run`.
        resume: What Flink's REST API is told of the savepoint or checkpoint to go on from; the job
            fails where it cannot. Beam itself hands it on to no cluster.
    """
    # Beam takes seconds to import, which the other commands need not wait for.
    from apache_beam.runners.portability import flink_uber_jar_job_server

    from eddyline.pipeline.__main__ import main

    class Resuming(flink_uber_jar_job_server.FlinkBeamJob):
        """Names the savepoint where the REST API of Flink asks for it."""

        def post(self, path: str, **request: Any) -> Any:
            if path.endswith("/run"):
                request["json"].update(resume)
            return super().post(path, **request)

    flink_uber_jar_job_server.FlinkBeamJob = Resuming
    sys.argv = ["eddyline", "run", *options(cluster, parts, given)]
    main()
