"""One job, in a process of its own: `python -m benchmarks.engines.job JSON`.

On Prism this process is also the job's worker; on Flink it is the client, and the cluster's pool
has the worker. It prints how the job ended as JSON, and ends once its standard input does, so that
its processor time can be read to the last.
"""

import json
import os
import sys
from typing import Any

import msgspec

from benchmarks.engines.sampled import sampled


class Job(msgspec.Struct, frozen=True):
    """What to run.

    Args:
        settings: Of the job.
        flags: Beam's: the engine.
        count_in: The file that the map-only job counts in; empty for the full job.
        samples: The file for where this process's time goes; empty for none.
    """

    settings: dict[str, Any]
    flags: list[str]
    count_in: str = ""
    samples: str = ""


def run(job: Job) -> tuple[str, dict[str, int]]:
    """Run it; its state and counters."""
    # As the command does, before Arrow is loaded.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from apache_beam.options.pipeline_options import DebugOptions, StandardOptions

    from benchmarks.engines.map_only import map_only
    from eddyline.pipeline.options import beam_options
    from eddyline.pipeline.run import prepare
    from eddyline.pipeline.settings import settings_of

    options, settings = beam_options(job.flags), settings_of(job.settings)
    if not job.count_in:
        ended = prepare(settings, options).run()
        return ended.state, ended.counts
    options.view_as(StandardOptions).streaming = True
    options.view_as(DebugOptions).add_experiment("prism_disable_sdf_split")  # as the full job has
    result = map_only(settings, options, job.count_in).run()
    return str(result.wait_until_finish() or result.state), {}


def main() -> None:
    """Run what the first argument says."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    with sampled(job.samples):
        state, counts = run(job)
    sys.stdout.write("\n" + json.dumps({"state": state, "counts": counts}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
