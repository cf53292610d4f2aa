"""Read shards: one round after the other, through troubles that pass and the ends of shards."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apache_beam.metrics import Metrics
from msgspec.structs import replace

from eddyline.io.aws.client import service_time
from eddyline.io.aws.troubles import TROUBLES, code_of, in_words, missing, passes
from eddyline.io.kinesis.aggregated import user_records
from eddyline.io.kinesis.get_records import Answer, Record
from eddyline.io.kinesis.positions import OLDEST, after, iterator_arguments, position
from eddyline.io.kinesis.shards import Shard, with_children
from eddyline.io.sources.columns import Columns
from eddyline.io.sources.outage import Outage
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.source import Clock, Polled, Unreadable

NAMESPACE = "source"
READS_APART = 0.2  # s; the service allows five a second and shard
ITERATOR_LIFE = 240.0  # s; of the five minutes that the service gives it
AT_ONCE = 4  # requests
ROUND_BYTES = 32 * 2**20  # of messages after which a round asks no further shards
LONGEST_WAIT = 10.0  # s between two tries
MARGIN = 1_000_000  # µs; arrival times are approximate


class Reading(NamedTuple):
    """What to read and how; see `Kinesis`."""

    name: str
    which: dict[str, str]
    rows: int
    pause: float
    page: int


class HeldIterator(NamedTuple):
    """A shard iterator that stands at a place; not to be used after `until`."""

    place: str
    token: str
    until: float


class Got(NamedTuple):
    """What a look at a shard gave: an answer, a trouble that passes, or neither: it is gone.

    Args:
        answer: What GetRecords said.
        now: The service's time when it was asked, or before, in µs.
        trouble: One that passes.
    """

    answer: Answer | None = None
    now: int | None = None
    trouble: Exception | None = None


@dataclass
class Round:
    """What the looks of a round gave so far."""

    columns: Columns = field(default_factory=Columns)
    read: dict[str, Partition] = field(default_factory=dict[str, Partition])
    ended: list[str] = field(default_factory=list[str])
    behind: list[int] = field(default_factory=list[int])


class KinesisReader:
    """Reads the shards of a progress.

    Args:
        reading: What and how.
        client: Of boto3, with `Parsers`.
        clock: Seconds of a clock that only moves forward.
        list_shards: All shards that the stream has; raises `Unreadable`.
    """

    def __init__(
        self,
        reading: Reading,
        client: Any,
        clock: Clock,
        list_shards: Callable[[], list[Shard]],
    ) -> None:
        self.reading = reading
        self.client = client
        self.clock = clock
        self.list_shards = list_shards
        self._iterators: dict[str, HeldIterator] = {}
        self._ready: dict[str, float] = {}
        self._failures: dict[str, int] = {}  # since a shard's last answer
        self._outage = Outage(reading.name)
        self._threads = ThreadPoolExecutor(AT_ONCE)

    def poll(self, progress: Progress) -> Polled:
        """Look once at each active shard that may be looked at."""
        start = self.clock()
        due = [shard for shard in progress.active if self._ready.get(shard, 0.0) <= start]
        due.sort(key=lambda shard: self._ready.get(shard, 0.0))
        round_ = Round()
        for shard, got in self._looks(progress, due, round_.columns):
            self._take(shard, progress.partitions[shard], got, round_)
        if due and not self._failures:
            self._outage.over(self.clock())
        messages = len(round_.columns)
        progress = self._close(progress.read(round_.read, messages), round_.ended)
        active = progress.active
        if not active:  # what follows is read by another reader
            progress = replace(progress, done=True)
        wait = min((self._ready.get(shard, 0.0) for shard in active), default=0.0) - self.clock()
        batches = list(round_.columns.batches(self.reading.rows))
        return Polled(progress, batches, max(0.0, wait), round_.behind)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=False)
        self.client.close()

    def _looks(
        self, progress: Progress, due: list[str], gathered: Columns
    ) -> Iterator[tuple[str, Got]]:
        """A look at each shard that is due, some at the same time, until there is enough."""
        for first in range(0, len(due), AT_ONCE):
            if gathered.size > ROUND_BYTES:
                return
            shards = due[first : first + AT_ONCE]
            run = self._threads.map if len(shards) > 1 else map
            places = [progress.partitions[shard].at for shard in shards]
            yield from zip(shards, run(self._look, shards, places), strict=True)

    def _look(self, shard: str, place: str) -> Got:
        action, asked = "kinesis:GetRecords", self.clock()
        try:
            token = self._held(shard, place)
            if token is None:
                action = "kinesis:GetShardIterator"
                token = self._iterator(shard, place)
            action = "kinesis:GetRecords"
            try:
                got = self._records(token)
            except TROUBLES as error:
                if code_of(error) != "ExpiredIteratorException":
                    raise
                action = "kinesis:GetShardIterator"
                token = self._iterator(shard, place)
                action = "kinesis:GetRecords"
                got = self._records(token)
        except TROUBLES as error:
            if missing(error):
                return Got()
            if not passes(error):
                raise self._refusal(error, place, action) from error
            return Got(trouble=error)
        return Got(got["answer"], service_time(got, self.clock() - asked))

    def _held(self, shard: str, place: str) -> str | None:
        held = self._iterators.pop(shard, None)
        return held.token if held and held.place == place and self.clock() < held.until else None

    def _iterator(self, shard: str, place: str) -> str:
        arguments = iterator_arguments(place)
        answer = self.client.get_shard_iterator(**self.reading.which, ShardId=shard, **arguments)
        return answer["ShardIterator"]

    def _records(self, token: str) -> dict[str, Any]:
        return self.client.get_records(ShardIterator=token, Limit=self.reading.page)

    def _refusal(self, error: Exception, place: str, action: str) -> Unreadable:
        if code_of(error) == "InvalidArgumentException" and place.startswith(after("")):
            return Unreadable(
                f"{self.reading.name}: the checkpoint is of another stream of this name. Start "
                f"the job without its old state, or name the stream that it has read. ({error})"
            )
        return in_words(error, self.reading.name, action)

    def _take(self, shard: str, partition: Partition, got: Got, round_: Round) -> None:
        now = self.clock()
        if got.trouble is not None:
            failures = self._failures[shard] = self._failures.get(shard, 0) + 1
            self._ready[shard] = now + min(LONGEST_WAIT, READS_APART * 2**failures)
            self._outage.goes_on(now, f"{shard}: {got.trouble}", code_of(got.trouble))
            Metrics.counter(NAMESPACE, "retries").inc()
            return
        self._failures.pop(shard, None)
        if got.answer is None:
            Metrics.counter(NAMESPACE, "partitions_lost").inc()
            round_.ended.append(shard)
            return
        answer = got.answer
        if answer.Records:
            last = answer.Records[-1]
            self._gather(shard, answer.Records, round_.columns)
            partition = replace(
                partition,
                at=after(last.SequenceNumber),
                seen=max(partition.seen, _micros(last)),
            )
        token = answer.NextShardIterator
        if token is None:
            round_.ended.append(shard)
        else:
            self._iterators[shard] = HeldIterator(partition.at, token, now + ITERATOR_LIFE)
            # A page that is full may have been cut, whatever the service says about the end.
            at_end = not answer.MillisBehindLatest and len(answer.Records) < self.reading.page
            self._ready[shard] = now + (self.reading.pause if at_end else READS_APART)
            # A closed shard's last records come with an iterator too: the look after them tells
            # whether it is closed, and if so its heirs hold what arrived since.
            if at_end and not answer.Records and got.now is not None:
                partition = replace(partition, seen=max(partition.seen, got.now - MARGIN))
        round_.read[shard] = partition
        round_.behind.append(answer.MillisBehindLatest)

    def _gather(self, shard: str, records: list[Record], columns: Columns) -> None:
        source = f"{self.reading.name}/{shard}"
        for record in records:
            number, arrival = record.SequenceNumber, _micros(record)
            parts = user_records(record.Data)
            if parts is None:
                key = {"partition_key": record.PartitionKey}
                columns.add(record.Data, source, position(number), arrival, key)
                continue
            for part, (partition_key, data) in enumerate(parts):
                key = {"partition_key": partition_key}
                columns.add(data, source, position(number, part), arrival, key)

    def _close(self, progress: Progress, ended: list[str]) -> Progress:
        """Mark shards as ended once those that follow them are listed."""
        if not ended:
            return progress
        for shard in ended:  # if that fails now: their ends will be found again
            self._ready[shard] = self.clock() + 1.0
        try:
            shards = self.list_shards()
        except Unreadable as error:
            if not error.passes:
                raise
            return progress
        listed = {shard.name for shard in shards}
        parents = {parent for shard in shards for parent in shard.parents}
        closed = {
            shard: replace(progress.partitions[shard], ended=True)
            for shard in ended
            if shard in parents or shard not in listed
        }
        Metrics.counter(NAMESPACE, "partitions_ended").inc(len(closed))
        return with_children(progress.read(closed), shards, OLDEST)


def _micros(record: Record) -> int:
    return round(record.ApproximateArrivalTimestamp * 1_000_000)
