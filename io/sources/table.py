"""The table of sources: from the word before the colon to what makes the source."""

from collections.abc import Callable, Mapping
from typing import Any

from eddyline.io.sources.begin import Begin, begin_of
from eddyline.io.sources.source import Source

# A source's clients are imported where it is made: a run over files needs none of them.
Make = Callable[[str, Begin, int, Mapping[str, Any]], Source]


def _kinesis(name: str, begin: Begin, rows: int, options: Mapping[str, Any]) -> Source:
    from eddyline.io.kinesis.source import Kinesis

    return Kinesis(name, begin, rows=rows, **options)


def _sqs(name: str, begin: Begin, rows: int, options: Mapping[str, Any]) -> Source:
    from eddyline.io.sqs.source import Sqs

    if begin != Begin():
        raise ValueError("begin: a queue has no place to begin at; leave it at earliest")
    return Sqs(name, rows=rows, **options)


def _pubsub(name: str, begin: Begin, rows: int, options: Mapping[str, Any]) -> Source:
    from eddyline.io.pubsub.source import PubSub

    if begin != Begin():
        raise ValueError("begin: a subscription has no place to begin at; leave it at earliest")
    return PubSub(name, rows=rows, **options)


def _kafka(name: str, begin: Begin, rows: int, options: Mapping[str, Any]) -> Source:
    from eddyline.io.kafka.source import Kafka, KafkaWithGroup

    make = KafkaWithGroup if options.get("group") else Kafka
    return make(name, begin, rows=rows, **options)


def _watch(name: str, begin: Begin, rows: int, options: Mapping[str, Any]) -> Source:
    from eddyline.io.files.kinds import kinds_of
    from eddyline.io.files.watch import WatchedFiles
    from eddyline.schemas.record import load_contract

    others = {key: value for key, value in options.items() if key != "schema"}
    kinds = kinds_of(load_contract(options.get("schema", "room")))
    return WatchedFiles(name, begin, rows=rows, kinds=kinds, **others)


SOURCES: dict[str, Make] = {
    "kafka": _kafka,
    "kinesis": _kinesis,
    "pubsub": _pubsub,
    "sqs": _sqs,
    "watch": _watch,
}


def source_of(
    words: str,
    begin: str = "earliest",
    rows: int = 500,
    options: Mapping[str, Any] | None = None,
) -> Source | None:
    """The source that is named `PREFIX:NAME`; None where the prefix is not in the table.

    Args:
        words: Such as `kinesis:telemetry`.
        begin: `earliest`, `latest` or an ISO time of arrival; for a start without a checkpoint.
        rows: Most messages a batch.
        options: Further arguments of the source, such as `{"readers": 4}`.

    Raises:
        ValueError: The name, an option or where to begin makes no sense.

    Example:
        >>> source_of("kinesis:telemetry", "latest").name
        'kinesis:telemetry'
        >>> source_of("in/*.jsonl") is None
        True
        >>> source_of("kinesis:telemetry", options={"speed": 9})
        Traceback (most recent call last):
        ValueError: source-options: Kinesis.__init__() got an unexpected keyword argument 'speed'
    """
    prefix, _, name = words.partition(":")
    if prefix not in SOURCES:
        return None
    try:
        return SOURCES[prefix](name, begin_of(begin), rows, options or {})
    except TypeError as error:
        raise ValueError(f"source-options: {error}") from error
