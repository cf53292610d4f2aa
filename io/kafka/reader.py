"""Read partitions: by offset, through troubles that pass, until their ends and on."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from apache_beam.metrics import Metrics
from msgspec.structs import replace

from eddyline.io.sources.columns import Columns
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock, Polled, Unreadable

NAMESPACE = "source"
LONGEST_WAIT = 0.3  # s for messages, in a poll
AGAIN = 0.05  # s after nothing came
ASK_ENDS = 0.5  # s between two looks at where partitions end
ASK_PARTITIONS = 60.0  # s between two looks at which partitions there are
REQUEST = 3.0  # s
MARGIN = 1_000_000  # µs; messages carry the time of their producers


class Topic(Protocol):
    """What to read and how; see `Kafka`."""

    acknowledges: ClassVar[bool]

    @property
    def name(self) -> str: ...  # noqa: D102 as in `Kafka`
    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def readers(self) -> int: ...  # noqa: D102


@dataclass
class Round:
    """What a poll gave so far."""

    columns: Columns = field(default_factory=Columns)
    offsets: dict[int, int] = field(default_factory=dict[int, int])
    times: dict[int, int] = field(default_factory=dict[int, int])


class KafkaReader:
    """Reads one lane's partitions.

    Args:
        topic: What and how.
        consumer: Of confluent_kafka.
        clock: Seconds of a clock that only moves forward.
        list_partitions: The numbers of the topic's partitions; raises `Unreadable`.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        topic: Topic,
        consumer: Any,
        clock: Clock,
        list_partitions: Callable[[], list[int]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.topic = topic
        self.consumer = consumer
        self.clock = clock
        self.list_partitions = list_partitions
        self.now = now
        self._offsets: dict[int, int] = {}  # where the consumer stands
        self._ask_ends = 0.0
        self._ask_partitions = clock() + ASK_PARTITIONS

    def poll(self, progress: Progress) -> Polled:
        """Take what the consumer has fetched, up to a batch."""
        progress = self._with_new_partitions(progress)
        offsets = {int(name): int(part.at) for name, part in progress.partitions.items()}
        if offsets != self._offsets:
            self._assign(offsets)
        round_ = Round(offsets=offsets)
        for message in self._consume():
            self._take(message, round_)
        self._offsets = round_.offsets
        ends = self._ends(round_)
        read = {
            f"{number}": self._read(progress.partitions[f"{number}"], number, round_, ends)
            for number in offsets
        }
        messages = len(round_.columns)
        behind = [round(self.now() * 1e3 - time / 1e3) for time in round_.times.values()]
        return Polled(
            progress.read(read, messages),
            list(round_.columns.batches(self.topic.rows)),
            0.0 if messages else AGAIN,
            [max(0, milliseconds) for milliseconds in behind] or [0] * bool(ends),
            self._acknowledge(round_.offsets) if messages and self.topic.acknowledges else None,
        )

    def keep(self, _progress: Progress) -> bool:
        """Nothing: a topic keeps its messages, and an offset of the group is only told."""
        return False

    def close(self) -> None:
        """Let go of connections; without a consumer there is nothing left to commit to."""
        self.consumer.close()

    def _with_new_partitions(self, progress: Progress) -> Progress:
        if self.clock() < self._ask_partitions:
            return progress
        self._ask_partitions = self.clock() + ASK_PARTITIONS
        try:
            found = self.list_partitions()
        except Unreadable as error:
            if not error.passes:
                raise
            return progress
        mine = [n for n in found if n % self.topic.readers == progress.lane]
        fresh = {f"{n}": Partition("0") for n in mine if f"{n}" not in progress.partitions}
        return progress.read(fresh)

    def _assign(self, offsets: dict[int, int]) -> None:
        from confluent_kafka import TopicPartition

        name = self.topic.topic
        self.consumer.assign([TopicPartition(name, n, offset) for n, offset in offsets.items()])

    def _consume(self) -> Iterable[Any]:
        from confluent_kafka import KafkaException

        from eddyline.io.kafka.troubles import in_words, passes

        try:
            return self.consumer.consume(self.topic.rows, LONGEST_WAIT)
        except KafkaException as error:
            if not passes(error.args[0]):
                raise in_words(error.args[0], self.topic.name) from error
            Metrics.counter(NAMESPACE, "retries").inc()
            return []

    def _take(self, message: Any, round_: Round) -> None:
        error, number = message.error(), message.partition()
        if error is not None:
            self._handle(error, message, round_)
            return
        if number not in round_.offsets or message.offset() < round_.offsets[number]:
            return  # of an assignment before this one
        round_.offsets[number] = message.offset() + 1
        arrival = max(0, message.timestamp()[1]) * 1_000
        round_.times[number] = arrival
        round_.columns.add(
            message.value() or b"",
            f"{self.topic.name}/{number}",
            f"{message.offset():020d}",
            arrival,
            _attributes(message),
        )

    def _handle(self, error: Any, message: Any, round_: Round) -> None:
        from confluent_kafka import KafkaError

        from eddyline.io.kafka.troubles import in_words, passes

        number = message.partition()
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 its name
            # Behind the last message there may be marks of transactions, which have offsets too.
            if message.offset() >= round_.offsets.get(number, message.offset() + 1):
                round_.offsets[number] = message.offset()
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            self._begin_again(number, round_)
        elif not passes(error):
            raise in_words(error, self.topic.name)
        else:
            Metrics.counter(NAMESPACE, "retries").inc()

    def _begin_again(self, number: int, round_: Round) -> None:
        """Go on with the oldest message, where what was to be read is no longer there."""
        edges = self._edges(number)
        if edges is not None and number in round_.offsets:
            Metrics.counter(NAMESPACE, "expired").inc()
            round_.offsets[number] = max(edges[0], round_.offsets[number])
            self._assign(round_.offsets)

    def _ends(self, round_: Round) -> dict[int, int]:
        """Partitions that were read to their ends, and when they were asked, in µs."""
        if self.clock() < self._ask_ends:
            return {}
        ends: dict[int, int] = {}
        for number, offset in round_.offsets.items():
            if number in round_.times:
                continue
            asked = round(self.now() * 1_000_000)
            edges = self._edges(number)
            if edges is None:  # the broker is away: it is no use to ask for the others
                break
            if offset >= edges[1]:
                ends[number] = asked
        self._ask_ends = self.clock() + ASK_ENDS
        return ends

    def _edges(self, number: int) -> tuple[int, int] | None:
        from confluent_kafka import KafkaException, TopicPartition

        try:
            at = TopicPartition(self.topic.topic, number)
            return self.consumer.get_watermark_offsets(at, REQUEST)
        except KafkaException:
            Metrics.counter(NAMESPACE, "retries").inc()
            return None

    def _read(
        self, partition: Partition, number: int, round_: Round, ends: dict[int, int]
    ) -> Partition:
        seen = max(partition.seen, round_.times.get(number, partition.seen))
        if number in ends:
            seen = max(seen, ends[number] - MARGIN)
        return replace(partition, at=f"{round_.offsets[number]}", seen=seen)

    def _acknowledge(self, offsets: dict[int, int]) -> Callable[[], None]:
        from confluent_kafka import KafkaException, TopicPartition

        told = [TopicPartition(self.topic.topic, n, offset) for n, offset in offsets.items()]

        def acknowledge() -> None:
            try:
                self.consumer.commit(offsets=told, asynchronous=True)
            except (KafkaException, RuntimeError):  # it is for tools alone; closed is no matter
                Metrics.counter(NAMESPACE, "retries").inc()

        return acknowledge


def _attributes(message: Any) -> dict[str, str]:
    """Key and headers, where they are text."""
    pairs = [("key", message.key()), *(message.headers() or [])]
    attributes: dict[str, str] = {}
    for name, value in pairs:
        try:
            attributes[name] = (value or b"").decode()
        except UnicodeDecodeError:
            continue
    if message.key() is None:
        attributes.pop("key", None)
    return attributes
