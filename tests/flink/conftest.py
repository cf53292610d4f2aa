"""A real cluster, a Kinesis of moto in a process of its own, devices that send, and an auditor."""

import json
import os
import random
import runpy
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from google.cloud import pubsub_v1

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last: the root also holds folders with names like `io`

from deploy.fetching import Unavailable  # noqa: E402
from deploy.flink.cluster import new_cluster  # noqa: E402
from deploy.flink.parts import Parts, fetch  # noqa: E402
from deploy.flink.rest import Refused  # noqa: E402
from eddyline.io.lake.read import read_raw  # noqa: E402
from eddyline.pipeline.live.child import Lost  # noqa: E402
from eddyline.pipeline.live.emulators import start_moto, start_pubsub  # noqa: E402

REGION = "eu-central-1"
POLICY = """
defaults: {quiet: 10s}
"""


PATIENCE = 400  # s; where others use the machine too, all of it takes many times as long


def wait_until(condition, seconds, what):
    """Wait; how long it took is shown where a test fails, and with `-rP`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + seconds, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    print(f"{what}: after {time.monotonic() - begun:.1f} s")


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """A Kinesis of `eddyline live`: moto's own looks at all records of a stream for each put."""
    server, port = start_moto(tmp_path_factory.mktemp("aws") / "moto.log")
    try:
        os.environ.update(  # the cluster's workers inherit it
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_REGION=REGION,
            AWS_EC2_METADATA_DISABLED="true",
        )
        yield boto3.client("kinesis", region_name=REGION)
    finally:
        server.end()


@pytest.fixture(scope="session")
def parts():
    try:
        return fetch(Parts(), lambda words: print(words))
    except Unavailable as reason:
        pytest.skip(f"needs the parts of a Flink cluster: {reason}")


@pytest.fixture(scope="session")
def google(tmp_path_factory):
    """Google's emulator of Pub/Sub; or why it cannot be had, which the tests of others survive."""
    try:
        server, port = start_pubsub(tmp_path_factory.mktemp("google") / "emulator.log")
    except Lost as reason:
        yield reason
        return
    try:
        os.environ["PUBSUB_EMULATOR_HOST"] = f"127.0.0.1:{port}"  # as above
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def cluster(parts, aws, google, tmp_path_factory):
    cluster = new_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(parts)
        yield cluster
    finally:
        cluster.stop()


class Commands:
    """Our commands as processes. They are forks of one that has imported what takes seconds."""

    IMPORTED = (
        "pytest",
        "eddyline.pipeline.cli",
        "apache_beam.runners.portability.flink_uber_jar_job_server",
        "apache_beam.runners.portability.prism_runner",
    )

    def __init__(self):
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(list(self.IMPORTED))
        ensure_running()
        self._runpy = str(Path(__file__).with_name("command.py"))

    def start(self, log, *argv):
        given = {"ARGV": argv, "LOG": str(log)}
        process = self._context.Process(
            target=runpy.run_path, args=(self._runpy,), kwargs={"init_globals": given}
        )
        process.start()
        return process

    def run(self, log, *argv):
        """Run one to its end, which must be a good one."""
        begun = time.monotonic()
        process = self.start(log, *argv)
        process.join()
        assert process.exitcode == 0, log.read_text()[-3000:]
        print(f"{' '.join(argv[:2])}: {time.monotonic() - begun:.1f} s")


@pytest.fixture(scope="session")
def commands(aws):
    return Commands()


class Readings:
    """What devices measure, 300 times a second all together, in turns."""

    RATE = 300.0  # readings/s

    def __init__(self, seed, devices):
        self.random, self.devices = random.Random(seed), devices

    def reading(self, turn, at):
        """A device's next one; its id, time in microseconds, and payload."""
        number, device = divmod(turn, self.devices)
        micros = round(at * 1000) * 1000
        # A spike of three readings in every 200, at another time for each device.
        spike = number > 100 and (number + 7 * device) % 200 < 3
        reading = {
            "device_id": f"d{device:03d}",
            "timestamp": datetime.fromtimestamp(micros / 1e6, UTC).isoformat(),
            "temperature": round(20 + self.random.gauss(0, 0.2) + 30 * spike, 2),
            "humidity": round(50 + self.random.gauss(0, 0.5), 1),
            "pressure": round(1013 + self.random.gauss(0, 0.3), 1),
        }
        return reading["device_id"], micros, json.dumps(reading).encode()


class Past(Readings):
    """What they measured up to a whole minute ago, as a file: 120 readings each."""

    def __init__(self, folder, seed, devices):
        super().__init__(seed, devices)
        self.file = folder / "past.jsonl"
        end, turns = time.time() // 60 * 60, 120 * devices
        times = (end - (turns - turn) / self.RATE for turn in range(turns))
        made = [self.reading(turn, at) for turn, at in enumerate(times)]
        self.sent = [(device, micros) for device, micros, _ in made]
        self.file.write_bytes(b"".join(payload + b"\n" for _, _, payload in made))
        os.utime(self.file, (end, end))  # the time of arrival


class Stream:
    """A Kinesis stream."""

    MOST = 400  # records a request

    def __init__(self, client, name):
        self.client, self.name, self.source = client, name, f"kinesis:{name}"
        client.create_stream(StreamName=name, ShardCount=2)

    def send(self, messages):
        records = [{"Data": payload, "PartitionKey": device} for device, payload in messages]
        answer = self.client.put_records(StreamName=self.name, Records=records)
        assert not answer["FailedRecordCount"]


class Topic:
    """A topic of Pub/Sub with one subscription."""

    MOST = 400  # messages a request

    def __init__(self, name):
        self.publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
        self.topic = f"projects/p/topics/{name}"
        subscription = f"projects/p/subscriptions/{name}"
        self.source = f"pubsub:{subscription}"
        self.publisher.create_topic(name=self.topic)
        subscriber.create_subscription(name=subscription, topic=self.topic)
        subscriber.close()

    def send(self, messages):
        sent = [self.publisher.publish(self.topic, payload) for _, payload in messages]
        for one in sent:
            one.result(60)


class Feed(Readings):
    """They send to a stream: jittered batches, disorder, late rows, spikes, malformed."""

    LATE = 0.01
    MALFORMED = 0.005

    def __init__(self, stream, seed, past=None):
        super().__init__(seed, past.devices if past else 60)
        self.stream = stream
        self.sent, self.malformed = list(past.sent) if past else [], 0
        self.first = self.messages = len(self.sent)
        self._waiting = []
        self._abandoned = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, error, *_):
        self._abandoned = error is not None
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
                self._take(self.first + turn, begun + turn / self.RATE)
                turn += 1
            self._send(now)
        if self._abandoned:
            return
        left = [one for one in self._waiting if one[0] > time.time() + 2]
        self._waiting = [one for one in self._waiting if one not in left]
        for _, device, payload in left:
            moment = datetime.fromisoformat(json.loads(payload)["timestamp"])
            self.sent.remove((device, round(moment.timestamp() * 1_000_000)))
        self._send(float("inf"))

    def _take(self, turn, at):
        device, micros, payload = self.reading(turn, at)
        arrives = at + self.random.uniform(0, 2)
        if self.random.random() < self.MALFORMED:
            self.malformed += 1
            payload = payload[:-9]
        else:
            self.sent.append((device, micros))
            if self.random.random() < self.LATE:
                arrives = at + self.random.uniform(15, 40)
        self._waiting.append((arrives, device, payload))

    def _send(self, now):
        due = sorted(one for one in self._waiting if one[0] <= now)
        self._waiting = [one for one in self._waiting if one[0] > now]
        for first in range(0, len(due), self.stream.MOST):
            messages = [(device, payload) for _, device, payload in due[first:][: self.stream.MOST]]
            self.stream.send(messages)
            self.messages += len(messages)

    def at_once(self, turns):
        """Send so many more, without a thread."""
        begun = time.time() - turns / self.RATE
        for turn in range(turns):
            self._take(self.first + turn, begun + turn / self.RATE)
        self.first += turns
        self._send(float("inf"))


@pytest.fixture(scope="session")
def feed(aws):
    return lambda name, seed=1, past=None: Feed(Stream(aws, name), seed, past)


@pytest.fixture(scope="session")
def topic_feed(google):
    if isinstance(google, Lost):
        pytest.skip(str(google))

    class Slower(Feed):
        RATE = 90.0  # what comes again must be among the 64 last ones of its device

    return lambda name, seed=1: Slower(Topic(name), seed)


class Running:
    """The job on the cluster, submitted as a user does, and the lake it writes."""

    def __init__(self, cluster, commands, folder, source):
        self.cluster, self.commands, self.folder = cluster, commands, folder
        self.lake = folder / "lake"
        self.policy = folder / "policy.yaml"
        self.stop_file = folder / "stop"
        self.policy.write_text(POLICY)
        self.source = [f"--source={source}", f"--stop-file={self.stop_file}"]
        self.settings = [f"--policy={self.policy}", '--detector-options={"warm_up": 100}']
        self.state = []
        self.job = None
        self._clients = []

    def begun_elsewhere(self, past, prism):
        """The devices' past goes through the job on Prism, in few shards, into the same lake."""
        log, states = self.folder / "prism.log", self.folder / "states.parquet"
        flags = [f"--source={past.file}", *self.settings, f"--lake={self.lake}", "--shards=5"]
        flags += ["--export-state", "--flush-seconds=1"]
        engine = ["--runner=PrismRunner", f"--prism_location={prism}", "--streaming"]
        self.commands.run(log, "eddyline.pipeline", "run", *flags, *engine)
        exported = ["state", "export", f"--lake={self.lake}", f"--out={states}"]
        self.commands.run(log, "eddyline.pipeline", *exported)
        self.state = [f"--state={states}", "--shards=24"]

    def submit(self, *more):
        """Start it as a user does; what is given goes first."""
        before = set(self.cluster.rest.jobs())
        flags = ["--flush-seconds=2", "--checkpointing_interval=1000", f"--lake={self.lake}"]
        flags += [*self.source, *self.settings, *self.state, *more]
        log = self.folder / "submit.log"
        where = ["--folder", str(self.cluster.folder)]
        client = self.commands.start(log, "deploy.flink", *where, "run", *flags)
        self._clients.append(client)

        def known():
            assert client.is_alive(), log.read_text()[-3000:]
            return set(self.cluster.rest.jobs()) - before

        wait_until(known, PATIENCE, "submitted")
        (self.job,) = set(self.cluster.rest.jobs()) - before
        wait_until(lambda: self.engine_state() == "RUNNING", PATIENCE, "running")

    def leave(self):
        """Ctrl-C in the client; gives its exit code and what it said."""
        client = self._clients[-1]
        os.kill(client.pid, signal.SIGINT)
        client.join(60)
        return client.exitcode, " ".join((self.folder / "submit.log").read_text().split())

    def engine_state(self):
        return self.cluster.rest.jobs().get(self.job)

    def counts(self):
        """Of checkpoints; nothing while the job starts."""
        try:
            return self.cluster.rest.counts(self.job)
        except Refused:
            return {"completed": 0}

    def checkpointed(self, more=2):
        """Wait until so many more checkpoints are complete: the job makes headway."""
        wanted = self.counts()["completed"] + more
        wait_until(lambda: self.counts()["completed"] >= wanted, PATIENCE, f"{more} checkpoints")

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

    def behind(self, feed):
        """How many messages are in the stream and not in the lake."""
        return feed.messages - self.messages()

    @contextmanager
    def recovery(self, feed, usual, what):
        """Wait, after a kill, until the lake is as near to the stream as it was before."""
        begun, before = time.monotonic(), self.restarts()
        yield
        wait_until(lambda: self.restarts() > before, PATIENCE, "it was noticed")
        self.checkpointed()
        wait_until(lambda: self.behind(feed) <= usual, PATIENCE, "caught up")
        print(f"{what}: the lake has caught up {time.monotonic() - begun:.1f} s later")

    def sent(self, feed, readings):
        """Wait until so many have been sent."""
        wait_until(lambda: len(feed.sent) >= readings, PATIENCE, f"{readings} readings")

    def arrived(self, feed):
        """Wait until every message that was sent is in the lake; of the readings many wait."""
        wait_until(lambda: self.behind(feed) == 0, PATIENCE, f"{feed.messages} messages")

    def drained(self):
        """Wait until every step has seen the end of the stream."""
        wait_until(lambda: self.cluster.rest.drained(self.job), PATIENCE, "drained")

    def drain(self):
        """End the source, and the job once nothing waits in any step, as a user does."""
        self.stop_file.touch()
        where = ["--folder", str(self.cluster.folder)]
        self.commands.run(self.folder / "drain.log", "deploy.flink", *where, "drain")
        wait_until(lambda: self.engine_state() == "CANCELED", 30, "canceled")

    def stop_with_savepoint(self):
        path = self.cluster.rest.stop_with_savepoint(self.job, str(self.cluster.savepoints))
        wait_until(lambda: self.engine_state() == "FINISHED", 30, "stopped")
        return path

    def cancel(self):
        if self.job is not None and self.engine_state() == "RUNNING":
            self.cluster.rest.cancel(self.job)

    def close(self):
        try:
            self.cancel()
        finally:
            for client in self._clients:
                client.kill()
                client.join()

    # What is in the lake.

    def table(self, name, lake=None, columns=None) -> pa.Table:
        return DeltaTable(str((lake or self.lake) / name)).to_pyarrow_table(columns=columns)

    def rows(self, name):
        """How many the table's log tells of."""
        actions = pa.table(DeltaTable(str(self.lake / name)).get_add_actions(flatten=True))
        return sum(actions["num_records"].to_pylist())

    def places(self):
        """Where the messages of the raw zone are from."""
        raw = (row for batch in read_raw(str(self.lake)) for row in batch.to_pylist())
        return Counter((row["source"], row["position"]) for row in raw)

    def messages(self):
        """How many are in the raw zone."""
        return sum(self.table("raw_files", columns=["rows"])["rows"].to_pylist())

    def replayed(self):
        """The lake of an undisturbed run: the same raw messages, bounded, in one process."""
        into = self.folder / "replayed"
        flags = [f"--lake={self.lake}", f"--into={into}", *self.settings]
        log = self.folder / "replay.log"
        self.commands.run(log, "eddyline.pipeline", "replay", *flags)
        return into


@pytest.fixture(scope="session")
def running(cluster, commands, tmp_path_factory):
    made = []

    def make(name, source=""):
        folder = tmp_path_factory.mktemp(name)
        made.append(Running(cluster, commands, folder, source or f"kinesis:{name}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def past():
    return Past


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
        for worker in self.cluster.workers():
            os.kill(worker, signal.SIGKILL)
        self.cluster.task_manager.kill()
        self.cluster.job_manager.kill()
        self.cluster.pool.kill()
        self.cluster.start(self.parts)


@pytest.fixture(scope="session")
def kill(cluster, parts):
    return Kill(cluster, parts)


class Audit:
    """What must hold of a lake, whatever was killed."""

    @staticmethod
    def every_reading_once(running, feed, *, again=False):
        """With `again`, the source itself gives a message again."""
        readings = running.table("readings", columns=["reading_id", "device_id", "event_time"])
        ids = readings["reading_id"].to_pylist()
        twice = len(ids) - len(set(ids))
        times = readings["event_time"].cast(pa.int64()).to_pylist()
        got = set(zip(readings["device_id"].to_pylist(), times, strict=True))
        lost, invented = set(feed.sent) - got, got - set(feed.sent)
        assert (twice, len(lost), len(invented)) == (0, 0, 0)
        dead = running.table("dead_letters").select(["source", "position"]).to_pylist()
        places = {(one["source"], one["position"]) for one in dead}
        assert len(places) == feed.malformed
        assert again or len(dead) == feed.malformed

    @staticmethod
    def every_message_once(running, feed):
        places = running.places()
        assert (places.total(), len(places)) == (feed.messages, feed.messages)

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
    def scores(table):
        """Of each reading; a threshold has no part in it."""
        names = ["reading_id", "verdict", "score"]
        return {
            row["reading_id"]: (row["verdict"] if row["score"] is None else "SCORED", row["score"])
            for row in table.select(names).to_pylist()
        }

    @staticmethod
    def verdicts(table, until=None):
        """Of each reading, or of those up to a time."""
        rows = table.select(["reading_id", "event_time", "verdict"]).to_pylist()
        return {
            row["reading_id"]: row["verdict"]
            for row in rows
            if until is None or row["event_time"] <= until
        }

    @staticmethod
    def verdicts_of(table, readings):
        """Of these: device and microseconds."""
        names = ("device_id", "event_time", "verdict")
        devices, times, verdicts = (table[name] for name in names)
        micros = times.cast(pa.int64()).to_pylist()
        all_of_them = zip(devices.to_pylist(), micros, verdicts.to_pylist(), strict=True)
        return {
            (device, time): verdict
            for device, time, verdict in all_of_them
            if (device, time) in readings
        }

    @staticmethod
    def later_than(sent, first):
        """What was sent, without the first so many of each device."""
        seen, later = Counter(), set()
        for device, micros in sent:
            seen[device] += 1
            if seen[device] > first:
                later.add((device, micros))
        return later

    @staticmethod
    def moment(sent):
        return datetime.fromtimestamp(sent[1] / 1e6, UTC)


@pytest.fixture(scope="session")
def audit():
    return Audit


@pytest.fixture
def waiting():
    return wait_until
