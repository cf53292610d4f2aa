"""Kafka as a source."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from eddyline.io.kafka.properties import read_properties
from eddyline.io.kafka.reader import KafkaReader
from eddyline.io.sources.begin import Begin
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock, Unreadable

TIMEOUT = 10.0  # s


@dataclass(frozen=True)
class Kafka:
    """A topic, read by partition and offset; no consumer group divides it.

    Guarantee: as for every source. Offsets are the engine's checkpoint. Of a partition that is
    found later, all is read. Where the broker has deleted what is unread, reading goes on with the
    oldest message that is there, and `source:expired` counts.

    Args:
        topic: Its name.
        begin: Where a job without a checkpoint begins.
        readers: So many read at the same time, each other partitions.
        rows: Most messages a batch.
        servers: Brokers to ask first; KAFKA_BOOTSTRAP_SERVERS of the worker where it is empty.
        properties: A file on the worker with librdkafka's own properties (`name=value` lines), for
            TLS and passwords.
        group: Where the offsets of what was committed are told, for monitoring; see
            `KafkaWithGroup`.

    Raises:
        ValueError: A value makes no sense.
    """

    acknowledges: ClassVar[bool] = False

    topic: str
    begin: Begin = field(default_factory=Begin)
    readers: int = 1
    rows: int = 500
    servers: str = ""
    properties: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if not self.topic:
            raise ValueError("kafka: name the topic, such as kafka:telemetry")
        if self.readers < 1 or self.rows < 1:
            raise ValueError("kafka: readers and rows are at least 1")

    @property
    def name(self) -> str:
        """Such as `kafka:telemetry`."""
        return f"kafka:{self.topic}"

    def start(self) -> Progress:
        """All partitions that the topic has now, at the offsets where reading begins."""
        from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

        from eddyline.io.kafka.troubles import in_words

        consumer = self.consumer()
        places: dict[str, Partition] = {}
        try:
            found = self.partitions(consumer)
            begins = dict.fromkeys(found, OFFSET_END)
            if self.begin.kind == "time":
                asked = [TopicPartition(self.topic, n, self.begin.time // 1000) for n in found]
                begins = {at.partition: at.offset for at in consumer.offsets_for_times(asked, 10)}
            for number in found:
                low, high = consumer.get_watermark_offsets(
                    TopicPartition(self.topic, number), TIMEOUT
                )
                begin = begins[number] if begins[number] >= 0 else high
                places[f"{number}"] = Partition(f"{low if self.begin == Begin() else begin}")
        except KafkaException as error:
            raise in_words(error.args[0], self.name) from error
        finally:
            consumer.close()
        return Progress(places)

    def lanes(self, progress: Progress) -> Iterable[Progress]:
        """Each reader has the partitions whose numbers fall to it."""
        return [
            progress.only([n for n in progress.partitions if int(n) % self.readers == lane], lane)
            for lane in range(self.readers)
        ]

    def open(self, clock: Clock) -> KafkaReader:
        """Open it."""
        consumer = self.consumer()
        return KafkaReader(self, consumer, clock, lambda: self.partitions(consumer))

    def check(self) -> None:
        """Ask for the topic's partitions and offsets."""
        self.start()

    def consumer(self) -> Any:
        """A consumer that is assigned nothing.

        Raises:
            Unreadable: The extra is not installed, no broker is named, or a property is wrong.
        """
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError as error:
            raise Unreadable(f"{self.name}: needs `pip install eddyline[kafka]`") from error
        servers = self.servers or os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        given = read_properties(self.properties) if self.properties else {}
        servers = given.get("bootstrap.servers", servers)
        if not servers:
            raise Unreadable(f"{self.name}: no broker is named. Set KAFKA_BOOTSTRAP_SERVERS.")
        try:
            return Consumer(
                {
                    "socket.connection.setup.timeout.ms": 5000,
                    "reconnect.backoff.max.ms": 2000,
                    "fetch.wait.max.ms": 100,
                    "log_level": 2,
                    **given,
                    "bootstrap.servers": servers,
                    "group.id": self.group or "eddyline",
                    "auto.offset.reset": "error",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                }
            )
        except KafkaException as error:
            raise Unreadable(f"{self.name}: {error}") from error

    def partitions(self, consumer: Any) -> list[int]:
        """The numbers of the topic's partitions.

        Raises:
            Unreadable: There is no such topic, or it cannot be asked for.
        """
        from confluent_kafka import KafkaException

        from eddyline.io.kafka.troubles import in_words

        try:
            topic = consumer.list_topics(self.topic, TIMEOUT).topics[self.topic]
        except KafkaException as error:
            raise in_words(error.args[0], self.name) from error
        if topic.error is not None:
            raise in_words(topic.error, self.name)
        return sorted(topic.partitions)


@dataclass(frozen=True)
class KafkaWithGroup(Kafka):
    """Kafka that also commits to its group, once the engine has, so that tools can tell the lag.

    The group's offsets are never read. A class of its own, since acknowledging costs (see
    `PollAndAcknowledge`).
    """

    acknowledges: ClassVar[bool] = True
