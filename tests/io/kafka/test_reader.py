"""Kafka's partitions, against a consumer by hand: offsets, ends, what expired, who is told."""

import pytest

kafka = pytest.importorskip("confluent_kafka", reason="needs the extra kafka")

from eddyline.io.kafka.properties import read_properties  # noqa: E402
from eddyline.io.kafka.reader import ASK_PARTITIONS, KafkaReader  # noqa: E402
from eddyline.io.kafka.source import Kafka, KafkaWithGroup  # noqa: E402
from eddyline.io.sources.progress import UNKNOWN, Partition, Progress  # noqa: E402
from eddyline.io.sources.source import Unreadable  # noqa: E402
from eddyline.schemas.message import messages_of  # noqa: E402

START = 1_767_312_000
BEGIN = Progress({"0": Partition("0"), "1": Partition("0")})


class Message:
    def __init__(self, partition, offset, code=None, **more):
        self._partition, self._offset, self._code = partition, offset, code
        self.more = {"value": b"{}", "key": b"k", "headers": [("type", b"data")], **more}

    def error(self):
        return None if self._code is None else kafka.KafkaError(self._code)

    def partition(self):
        return self._partition

    def offset(self):
        return self._offset

    def timestamp(self):
        return 1, (START + self._offset) * 1000

    def value(self):
        return self.more["value"]

    def key(self):
        return self.more["key"]

    def headers(self):
        return self.more["headers"]


class Consumer:
    """Gives what a test puts into `queue`, a list a call."""

    def __init__(self):
        self.time = 0.0
        self.queue, self.assigned, self.committed = [], [], []
        self.edges = {}
        self.found = [0, 1]

    def clock(self):
        return self.time

    def now(self):
        return START + 100 + self.time

    def assign(self, partitions):
        self.assigned.append({p.partition: p.offset for p in partitions})

    def consume(self, rows, wait):
        self.time += 1
        return self.queue.pop(0) if self.queue else []

    def get_watermark_offsets(self, at, timeout):
        if self.edges is None:
            raise kafka.KafkaException(kafka.KafkaError(kafka.KafkaError._TRANSPORT))
        return self.edges.get(at.partition, (0, 99))

    def commit(self, offsets, asynchronous):
        self.committed.append({p.partition: p.offset for p in offsets})


@pytest.fixture
def consumer():
    return Consumer()


def reader_of(consumer, source=Kafka, **more):
    topic = source("telemetry", servers="nobody:1", **more)
    return KafkaReader(topic, consumer, consumer.clock, lambda: consumer.found, consumer.now)


def taken(polled):
    return [(m.source, int(m.position)) for batch in polled.batches for m in messages_of(batch)]


def places(polled):
    return {name: part.at for name, part in polled.progress.partitions.items()}


def test_a_message_keeps_its_offset_time_key_and_headers(consumer):
    consumer.queue = [
        [
            Message(0, 7, headers=[("type", b"data"), ("trace", b"\xff")]),
            Message(1, 3, value=None, key=None, headers=None),
        ]
    ]
    polled = reader_of(consumer).poll(BEGIN)
    one, other = [m for batch in polled.batches for m in messages_of(batch)]
    assert (one.source, one.position) == ("kafka:telemetry/0", f"{7:020d}")
    assert one.arrival_time == (START + 7) * 1_000_000
    assert one.attributes == {"key": "k", "type": "data"}
    assert (other.payload, other.attributes) == (b"", {})
    assert places(polled) == {"0": "8", "1": "4"}


def test_a_place_that_is_not_the_consumers_is_assigned_and_what_was_fetched_before_is_no_message(
    consumer,
):
    consumer.queue = [
        [Message(0, 0), Message(0, 1)],
        [Message(0, 2)],
        [Message(0, 3), Message(0, 1)],
    ]
    reader = reader_of(consumer)
    first = reader.poll(BEGIN)
    checkpoint = first.progress
    assert taken(reader.poll(checkpoint)) == [("kafka:telemetry/0", 2)]
    assert len(consumer.assigned) == 1
    again = reader.poll(Progress({"0": Partition("3"), "1": Partition("0")}))
    assert len(consumer.assigned) == 1
    assert taken(again) == [("kafka:telemetry/0", 3)]
    reader.poll(checkpoint)
    assert consumer.assigned[-1] == {0: 2, 1: 0}


def test_an_end_lets_the_watermark_go_on_and_a_broker_that_is_away_does_not(consumer):
    reader = reader_of(consumer)
    consumer.queue = [[Message(0, 0)], [Message(0, 1)]]
    polled = reader.poll(BEGIN)
    assert polled.progress.seen == UNKNOWN  # of partition 1 nothing is known
    consumer.edges = {0: (0, 2), 1: (0, 0)}
    polled = reader.poll(polled.progress)
    assert polled.progress.seen == (START + 1) * 1_000_000
    polled = reader.poll(polled.progress)
    assert polled.progress.seen == (START + 102) * 1_000_000
    consumer.edges = None
    assert reader.poll(polled.progress).progress == polled.progress


def test_marks_of_transactions_behind_the_last_message_are_passed(consumer):
    consumer.edges = {0: (0, 6), 1: (0, 0)}
    consumer.queue = [[Message(0, 4), Message(0, 6, kafka.KafkaError._PARTITION_EOF)]]
    polled = reader_of(consumer).poll(BEGIN)
    assert places(polled) == {"0": "6", "1": "0"}
    assert len(taken(polled)) == 1


def test_where_messages_expired_the_oldest_one_is_next(consumer):
    consumer.edges = {0: (50, 60)}
    consumer.queue = [[Message(0, 0, kafka.KafkaError._AUTO_OFFSET_RESET)], [Message(0, 50)]]
    reader = reader_of(consumer)
    polled = reader.poll(BEGIN)
    assert places(polled)["0"] == "50"
    assert consumer.assigned[-1] == {0: 50, 1: 0}
    assert taken(reader.poll(polled.progress)) == [("kafka:telemetry/0", 50)]


def test_a_partition_that_is_found_later_is_read_from_its_beginning(consumer):
    reader = reader_of(consumer, readers=2)
    polled = reader.poll(Progress({"0": Partition("7")}))
    consumer.found = [0, 1, 2]
    consumer.time += ASK_PARTITIONS
    polled = reader.poll(polled.progress)
    assert places(polled) == {"0": "7", "2": "0"}  # 1 is the other reader's


def test_the_group_is_told_what_was_committed_and_nothing_before(consumer):
    consumer.queue = [[Message(0, 4), Message(1, 9)]]
    polled = reader_of(consumer, KafkaWithGroup, group="eddyline-live").poll(BEGIN)
    assert consumer.committed == []
    polled.acknowledge()
    assert consumer.committed == [{0: 5, 1: 10}]
    consumer.queue = [[Message(0, 5)]]
    assert reader_of(consumer).poll(polled.progress).acknowledge is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED, "the ACL READ"),
        (kafka.KafkaError.UNKNOWN_TOPIC_OR_PART, "does not exist"),
        (kafka.KafkaError._AUTHENTICATION, "refuse the credentials"),
    ],
)
def test_what_does_not_pass_is_told_in_words(consumer, code, words):
    consumer.queue = [[Message(0, 0, code)]]
    with pytest.raises(Unreadable, match=f"kafka:telemetry: .*{words}"):
        reader_of(consumer).poll(BEGIN)


def test_what_passes_is_no_error(consumer):
    consumer.queue = [[Message(-1, -1001, kafka.KafkaError._ALL_BROKERS_DOWN)]]
    polled = reader_of(consumer).poll(BEGIN)
    assert places(polled) == {"0": "0", "1": "0"}
    assert polled.wait > 0


def test_properties_are_read_and_a_wrong_line_is_not_told(tmp_path):
    path = tmp_path / "kafka.properties"
    path.write_text("# TLS\n\nsasl.password = a=b\nsecurity.protocol=SASL_SSL\n")
    assert read_properties(str(path)) == {"sasl.password": "a=b", "security.protocol": "SASL_SSL"}
    path.write_text("hunter2\n")
    with pytest.raises(Unreadable, match="line 1: name=value expected") as told:
        read_properties(str(path))
    assert "hunter2" not in str(told.value)
    with pytest.raises(Unreadable, match="No such file"):
        read_properties(str(tmp_path / "none"))


def test_what_makes_no_sense_is_refused(monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with pytest.raises(ValueError, match="name the topic"):
        Kafka("")
    with pytest.raises(ValueError, match="at least 1"):
        Kafka("telemetry", readers=0)
    with pytest.raises(Unreadable, match="no broker is named"):
        Kafka("telemetry").check()
