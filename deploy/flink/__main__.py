"""Start a cluster, run the job on it, stop it: `python -m deploy.flink COMMAND`."""

import argparse
import sys
import time
from pathlib import Path

from deploy.fetching import Unavailable
from deploy.flink.cluster import Cluster, NotUp, cluster_in, new_cluster
from deploy.flink.parts import Parts, fetch
from deploy.flink.rest import Refused
from deploy.flink.submit import submit

FOLDER = Path(".flink")


def say(words: str) -> None:
    """Tell the user, beside what a command gives."""
    sys.stderr.write(f"{words}\n")


def up(given: argparse.Namespace) -> None:
    """Start a cluster, or what is missing of it."""
    parts = fetch(Parts(), say)
    cluster = new_cluster(given.folder, given.slots)
    say("Starting Flink and a pool of Python workers ...")
    cluster.start(parts)
    say(f"Flink is up: {cluster.rest.address} (checkpoints and logs in {cluster.folder})")


def run(given: argparse.Namespace) -> None:
    """Run the job: what follows goes to `eddyline run`."""
    resume = {}
    if given.savepoint_path:
        resume["savepointPath"] = given.savepoint_path
        resume["allowNonRestoredState"] = given.allow_non_restored_state
    submit(cluster_in(given.folder), fetch(Parts(), say), given.options, resume)


def status(given: argparse.Namespace) -> None:
    """What runs."""
    cluster = cluster_in(given.folder)
    rest = cluster.rest
    for process in (cluster.job_manager, cluster.task_manager, cluster.pool):
        sys.stdout.write(f"{process.name:14} {process.pid or 'not running'}\n")
    for worker in cluster.workers():
        sys.stdout.write(f"{'worker':14} {worker}\n")
    if cluster.job_manager.pid is None:
        return
    for job, state in rest.jobs().items():
        sys.stdout.write(f"job {job} {state}\n")
        if job in rest.running() and rest.streams(job):
            counts = rest.counts(job)
            told = [f"{counts[name]} {name}" for name in ("completed", "failed", "restored")]
            last = rest.last_checkpoint(job) or "none"
            sys.stdout.write(f"  checkpoints: {', '.join(told)}; last: {last}\n")


def savepoint(given: argparse.Namespace) -> None:
    """Stop the job with a savepoint; prints where it lies, for `--savepoint_path`."""
    cluster = cluster_in(given.folder)
    sys.stdout.write(cluster.rest.stop_with_savepoint(_job(cluster), str(cluster.savepoints)))
    sys.stdout.write("\n")


def drain(given: argparse.Namespace) -> None:
    """End a job whose source has ended, once all it knows is in the lake."""
    cluster = cluster_in(given.folder)
    rest, job = cluster.rest, _job(cluster)
    say("Waiting for the end of the stream; --stop-file, or --stop-messages, ends it ...")
    while not rest.settled(job):
        time.sleep(1)
    rest.cancel(job)
    say(f"Drained: every row of job {job} is in the lake.")


def down(given: argparse.Namespace) -> None:
    """Stop the cluster; checkpoints and savepoints stay."""
    cluster = cluster_in(given.folder)
    cluster.stop()
    say(f"Stopped. Checkpoints and logs stay in {cluster.folder}.")


def _job(cluster: Cluster) -> str:
    running = cluster.rest.running()
    if len(running) != 1:
        raise Refused(f"{len(running)} jobs run; this is for one")
    return running[0]


COMMANDS = {
    "up": up,
    "run": run,
    "status": status,
    "savepoint": savepoint,
    "drain": drain,
    "down": down,
}


def main() -> None:
    """Do what is asked; tell in one line what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m deploy.flink", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="The cluster's folder.")
    commands = parser.add_subparsers(required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name, help=command.__doc__, description=command.__doc__, allow_abbrev=False
        )
        one.set_defaults(command=command)
        if name == "up":
            one.add_argument("--slots", type=int, default=2, help="Tasks at the same time.")
        if name == "run":
            one.add_argument("--savepoint_path", help="Savepoint or checkpoint to go on from.")
            words = "Leave out state that no step asks for any more."
            one.add_argument("--allow_non_restored_state", action="store_true", help=words)
    given, given.options = parser.parse_known_args(namespace=argparse.Namespace())
    if given.options and given.command is not run:
        parser.error(f"no such option: {' '.join(given.options)}")
    try:
        given.command(given)
    except (NotUp, Refused, Unavailable) as error:
        say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
