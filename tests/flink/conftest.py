"""A real cluster, a Kinesis of moto in a process of its own, devices that send, and an auditor."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
from deltalake import DeltaTable

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last: the root also holds folders with names like `io`

from deploy.flink.cluster import new_cluster  # noqa: E402
from deploy.flink.parts import Parts, Unavailable, fetch  # noqa: E402
from deploy.flink.rest import Refused  # noqa: E402

REGION = "eu-central-1"
POLICY = """
defaults: {quiet: 10s}
"""


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def aws():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    os.environ.update(environment)  # the cluster's workers inherit it
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), 60, "moto")
        yield boto3.client("kinesis", region_name=REGION)
    finally:
        server.terminate()
        server.wait()


def _listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def parts():
    try:
        return fetch(Parts(), lambda words: print(words))
    except Unavailable as reason:
        pytest.skip(f"needs the parts of a Flink cluster: {reason}")


@pytest.fixture(scope="session")
def cluster(aws, parts, tmp_path_factory):
    cluster = new_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(parts)
        yield cluster
    finally:
        cluster.stop()


class Feed:
    """Devices that send to a stream: jittered batches, disorder, late rows, spikes, malformed."""

    DEVICES = 60
    RATE = 300.0  # readings/s
    LATE = 0.01
    MALFORMED = 0.005

    def __init__(self, client, stream, seed):
        self.client, self.stream, self.random = client, stream, random.Random(seed)
        self.sent, self.messages, self.malformed = [], 0, 0
        self._waiting = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        client.create_stream(StreamName=stream, ShardCount=2)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Send what is on its way, and end.

        Late rows stay away: a late one after the last of its device is LATE here, because the
        watermark says so, and in order on a replay, which has no watermark (docs/guarantees.md).
        """
        self._stop.set()
        self._thread.join()

    def _run(self):
        begun = time.time()
        turn = 0
        while not self._stop.is_set():
            time.sleep(self.random.uniform(0.05, 0.6))
            now = time.time()
            while begun + turn / self.RATE < now:
                self._take(turn, begun + turn / self.RATE)
                turn += 1
            self._send(now)
        left = [one for one in self._waiting if one[0] > time.time() + 2]
        self._waiting = [one for one in self._waiting if one not in left]
        for _, device, payload in left:
            moment = datetime.fromisoformat(json.loads(payload)["timestamp"])
            self.sent.remove((device, round(moment.timestamp() * 1_000_000)))
        self._send(float("inf"))

    def _take(self, turn, at):
        number, device = divmod(turn, self.DEVICES)
        micros = round(at * 1000) * 1000
        # A spike of three readings in the second half of every 40 s, another second a device.
        spike = number > 100 and (number + 7 * device) % 200 < 3
        reading = {
            "device_id": f"d{device:02d}",
            "timestamp": datetime.fromtimestamp(micros / 1e6, UTC).isoformat(),
            "temperature": round(20 + self.random.gauss(0, 0.2) + 30 * spike, 2),
            "humidity": round(50 + self.random.gauss(0, 0.5), 1),
            "pressure": round(1013 + self.random.gauss(0, 0.3), 1),
        }
        payload = json.dumps(reading).encode()
        arrives = at + self.random.uniform(0, 2)
        if self.random.random() < self.MALFORMED:
            self.malformed += 1
            payload = payload[:-9]
        else:
            self.sent.append((reading["device_id"], micros))
            if self.random.random() < self.LATE:
                arrives = at + self.random.uniform(15, 40)
        self._waiting.append((arrives, reading["device_id"], payload))

    def _send(self, now):
        due = sorted(one for one in self._waiting if one[0] <= now)
        self._waiting = [one for one in self._waiting if one[0] > now]
        for first in range(0, len(due), 400):
            records = [
                {"Data": payload, "PartitionKey": device}
                for _, device, payload in due[first : first + 400]
            ]
            answer = self.client.put_records(StreamName=self.stream, Records=records)
            assert not answer["FailedRecordCount"]
            self.messages += len(records)


@pytest.fixture
def feed(aws, request):
    return lambda stream, seed=1: Feed(aws, stream, seed)


class Running:
    """The job on the cluster, submitted as a user does, and the lake it writes."""

    def __init__(self, cluster, parts, folder, stream):
        self.cluster, self.parts, self.folder = cluster, parts, folder
        self.lake = folder / "lake"
        self.policy = folder / "policy.yaml"
        self.stop_file = folder / "stop"
        self.policy.write_text(POLICY)
        self.source = [f"--source=kinesis:{stream}"]
        self.settings = [f"--policy={self.policy}", '--detector-options={"warm_up": 100}']
        self.job = None
        self._clients = []

    def submit(self, *more):
        before = set(self.cluster.rest.jobs())
        flags = [*self.source, *self.settings, f"--lake={self.lake}", *more]
        flags = [*flags, "--checkpointing_interval=2000", f"--stop-file={self.stop_file}"]
        command = [sys.executable, "-m", "deploy.flink", "--folder", str(self.cluster.folder)]
        with (self.folder / "submit.log").open("ab") as log:
            client = subprocess.Popen([*command, "run", *flags], cwd=ROOT, stdout=log, stderr=log)
        self._clients.append(client)

        def known():
            assert client.poll() is None, (self.folder / "submit.log").read_text()[-3000:]
            return set(self.cluster.rest.jobs()) - before

        wait_until(known, 240, "submitted")
        (self.job,) = set(self.cluster.rest.jobs()) - before
        wait_until(lambda: self.state() == "RUNNING", 120, "running")

    def state(self):
        return self.cluster.rest.jobs().get(self.job)

    def counts(self):
        """Of checkpoints; nothing while the job starts."""
        try:
            return self.cluster.rest.counts(self.job)
        except Refused:
            return {"completed": 0}

    def completed(self):
        return self.counts()["completed"]

    def checkpointed(self, more=2, seconds=180):
        """Wait until so many more checkpoints are complete: the job makes headway."""
        wanted = self.completed() + more
        wait_until(lambda: self.completed() >= wanted, seconds, "checkpoints")

    @contextmanager
    def checkpoints_fail(self):
        """Nothing can be written to or read from where checkpoints go (root ignores modes)."""
        place = self.cluster.checkpoints / self.job
        aside = place.with_name(f"{self.job}-aside")
        place.rename(aside)
        place.write_text("in the way")
        try:
            yield
        finally:
            place.unlink()
            aside.rename(place)

    def last_checkpoint(self):
        """The last complete one, found as after a crash: on the disk."""
        found = (self.cluster.checkpoints / self.job).glob("chk-*/_metadata")
        return max(found, key=lambda path: int(path.parent.name[4:])).parent.as_uri()

    def restarts(self):
        return len(self.cluster.rest.exceptions(self.job))

    def until_scored(self):
        """Wait until models are past their warm-up."""

        def scored():
            return "ANOMALY" in self.table("readings")["verdict"].to_pylist()

        wait_until(scored, 180, "an anomaly")

    def settled(self, feed):
        """Wait until everything that was sent is in the lake."""
        wanted = len(feed.sent)
        wait_until(lambda: self.rows("readings") >= wanted, 180, f"{wanted} readings")

    def drain(self):
        """End the source; windows close, the last files are committed; then end the job."""
        self.stop_file.touch()
        wait_until(lambda: self.cluster.rest.drained(self.job), 90, "drained")
        time.sleep(5)  # rows wait so long for their file
        self.checkpointed(3)
        self.cancel()
        wait_until(lambda: self.state() == "CANCELED", 30, "canceled")

    def stop_with_savepoint(self):
        path = self.cluster.rest.stop_with_savepoint(self.job, str(self.cluster.savepoints))
        wait_until(lambda: self.state() == "FINISHED", 30, "stopped")
        return path

    def cancel(self):
        if self.job is not None and self.state() == "RUNNING":
            self.cluster.rest.cancel(self.job)

    def close(self):
        try:
            self.cancel()
        finally:
            for client in self._clients:
                client.kill()
                client.wait()

    # What is in the lake.

    def table(self, name, lake=None, columns=None) -> pa.Table:
        return DeltaTable(str((lake or self.lake) / name)).to_pyarrow_table(columns=columns)

    def rows(self, name):
        try:
            return self.table(name, columns=["event_time"]).num_rows
        except FileNotFoundError:
            return 0

    def replayed(self):
        """The lake of an undisturbed run: the same raw messages, bounded, in one process."""
        into = self.folder / "replayed"
        command = [sys.executable, "-m", "eddyline.pipeline", "replay", f"--lake={self.lake}"]
        command += [f"--into={into}", *self.settings]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return into


@pytest.fixture
def running(cluster, parts, tmp_path):
    made = []

    def make(stream):
        made.append(Running(cluster, parts, tmp_path, stream))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Kill:
    """`kill -9`, of one process or of all of them."""

    def __init__(self, cluster, parts):
        self.cluster, self.parts = cluster, parts

    def worker(self):
        wait_until(self.cluster.workers, 60, "a worker")
        os.kill(self.cluster.workers()[-1], signal.SIGKILL)

    def task_manager(self):
        self.cluster.task_manager.kill()
        self.cluster.start_task_manager(self.parts)

    def all_of_it(self):
        """The whole cluster, at once; and start an empty one in its place."""
        self.cluster.job_manager.kill()
        self.cluster.task_manager.kill()
        self.cluster.pool.kill()
        for worker in self.cluster.workers():
            os.kill(worker, signal.SIGKILL)
        self.cluster.start(self.parts)


@pytest.fixture
def kill(cluster, parts):
    return Kill(cluster, parts)


class Audit:
    """What must hold of a lake, whatever was killed."""

    @staticmethod
    def every_reading_once(running, feed):
        readings = running.table("readings", columns=["reading_id", "device_id", "event_time"])
        ids = readings["reading_id"].to_pylist()
        twice = len(ids) - len(set(ids))
        times = readings["event_time"].cast(pa.int64()).to_pylist()
        got = set(zip(readings["device_id"].to_pylist(), times, strict=True))
        lost, invented = set(feed.sent) - got, got - set(feed.sent)
        assert (twice, len(lost), len(invented)) == (0, 0, 0)
        assert running.table("dead_letters").num_rows == feed.malformed

    @staticmethod
    def every_message_once(feed, raw):
        places = Counter((one["source"], one["position"]) for one in raw)
        assert (len(raw), len(places)) == (feed.messages, feed.messages)

    @staticmethod
    def minutes(table):
        """The last revision of each device's minute, without its number and its time."""
        last = {}
        seen = set()
        for row in table.to_pylist():
            key = (row["device_id"], row["minute_start"])
            number = row.pop("revision")
            assert (*key, number) not in seen, f"a revision of a minute twice: {key} {number}"
            seen.add((*key, number))
            if key not in last or last[key][0] < number:
                last[key] = (number, row)
        return {key: row for key, (_, row) in last.items()}

    @staticmethod
    def incidents(table):
        """Each transition, without what tells of storms and of when a message arrived."""
        rows = table.to_pylist()
        keys = [(row["incident_id"], row["revision"]) for row in rows]
        assert len(keys) == len(set(keys)), "a transition twice"
        opened = Counter(row["incident_id"] for row in rows if row["transition"] == "opened")
        assert set(opened.values()) <= {1}, "an incident opened twice"
        return {
            key: (row["transition"], row["kind"], row["event_time"], row["count"], row["score"])
            for key, row in zip(keys, rows, strict=True)
            if row["kind"] != "storm"
        }

    @staticmethod
    def micros(moment):
        return round(moment.timestamp() * 1_000_000)

    @staticmethod
    def of_verdict(rows, verdict):
        return sum(row["verdict"] == verdict for row in rows)

    @staticmethod
    def scores(table):
        names = ["reading_id", "verdict", "score"]
        return {row["reading_id"]: row for row in table.select(names).to_pylist()}


@pytest.fixture
def audit():
    return Audit


@pytest.fixture
def waiting():
    return wait_until
