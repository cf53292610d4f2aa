"""Kinesis as a source."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from eddyline.io.aws.client import make_client, service_time
from eddyline.io.aws.troubles import TROUBLES, in_words
from eddyline.io.kinesis.get_records import Parsers
from eddyline.io.kinesis.positions import OLDEST, first_place, iterator_arguments
from eddyline.io.kinesis.reader import KinesisReader, Reading
from eddyline.io.kinesis.shards import Shard, first_progress, lanes, shard_of
from eddyline.io.sources.begin import Begin
from eddyline.io.sources.progress import Progress
from eddyline.io.sources.source import Clock, Unreadable


@dataclass(frozen=True)
class Kinesis:
    """A data stream, read by polling (`GetRecords`); records of the KPL are taken apart.

    Guarantee: as for every source. Of two shards of which one descends from the other, the parent
    is read to its end first; only where `readers` is more than 1 and a merge joins shards of two
    readers, the merged shard waits for its first parent alone. Credentials, region and endpoint
    are boto3's affair.

    Args:
        stream: Its name or ARN.
        begin: Where a job without a checkpoint begins.
        readers: At most so many at the same time; each takes shards that are neighbours.
        rows: Most messages a batch.
        pause: Seconds between two looks at a shard that was read to its end. The service allows 5
            a second and shard, for all who read it together.
        page: Most records a look.

    Raises:
        ValueError: A value makes no sense.
    """

    acknowledges: ClassVar[bool] = False

    stream: str
    begin: Begin = field(default_factory=Begin)
    readers: int = 1
    rows: int = 500
    pause: float = 0.25
    page: int = 10_000

    def __post_init__(self) -> None:
        if not self.stream:
            raise ValueError("kinesis: name the stream, such as kinesis:telemetry")
        if self.readers < 1 or self.rows < 1 or not 1 <= self.page <= 10_000:
            raise ValueError("kinesis: readers and rows are at least 1, page is 1 to 10,000")
        if self.pause < 0.2:
            raise ValueError(f"kinesis: pause is at least 0.2 seconds, not {self.pause}")

    @property
    def name(self) -> str:
        """Such as `kinesis:telemetry`; of an ARN the last part."""
        return f"kinesis:{self.stream.rpartition('/')[2]}"

    @property
    def which(self) -> dict[str, str]:
        """The stream, as requests name it."""
        return {"StreamARN" if self.stream.startswith("arn:") else "StreamName": self.stream}

    def start(self) -> Progress:
        """All shards that the stream has now."""
        shards, now = self.shards(self.client())
        if self.begin.kind == "latest":
            shards = [shard for shard in shards if not shard.closed]
        try:
            return first_progress(shards, first_place(self.begin, now))
        except ValueError as error:
            raise Unreadable(f"{self.name}: {error}") from error

    def lanes(self, progress: Progress) -> Iterable[Progress]:
        """Parts of neighbouring shards."""
        return lanes(progress, self.readers)

    def open(self, clock: Clock) -> KinesisReader:
        """Open it."""
        client = self.client()
        reading = Reading(self.name, self.which, self.rows, self.pause, self.page)
        return KinesisReader(reading, client, clock, lambda: self.shards(client)[0])

    def check(self) -> None:
        """List the shards and read from one of them."""
        client = self.client()
        shards, _ = self.shards(client)
        action = "kinesis:GetShardIterator"
        try:
            iterator = client.get_shard_iterator(
                **self.which, ShardId=shards[-1].name, **iterator_arguments(OLDEST)
            )["ShardIterator"]
            action = "kinesis:GetRecords"
            client.get_records(ShardIterator=iterator, Limit=1)
        except TROUBLES as error:
            raise in_words(error, self.name, action) from error

    def client(self) -> Any:
        """A client of the service.

        Raises:
            Unreadable: No region is configured.
        """
        try:
            return make_client("kinesis", Parsers())
        except TROUBLES as error:
            raise in_words(error, self.name, "kinesis:ListShards") from error

    def shards(self, client: Any) -> tuple[list[Shard], int | None]:
        """All shards that the stream still has, and the service's time.

        Raises:
            Unreadable: They cannot be listed.
        """
        try:
            answer = client.list_shards(**self.which)
            listed = list(answer["Shards"])
            while token := answer.get("NextToken"):
                answer = client.list_shards(NextToken=token)
                listed += answer["Shards"]
        except TROUBLES as error:
            raise in_words(error, self.name, "kinesis:ListShards") from error
        return [shard_of(entry) for entry in listed], service_time(answer)
