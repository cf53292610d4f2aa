"""Settings: everything a run can be told, checked once, then frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from eddyline.transforms.decoding.relevance import DropRule

WarehouseTable = Literal[
    "readings", "minutes", "anomalies", "incidents", "deliveries", "dead_letters"
]
ResultTable = Literal["readings", "anomalies", "incidents"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run; each is an option of `eddyline run` and a key of `--settings FILE`.

    A field's `Meta` is its one description: what `--help` prints and what `settings_of` checks.
    """

    source: Annotated[
        str,
        Meta(
            description="Files to read (path or glob; local, s3://, gs://), or a stream: "
            "kinesis:STREAM, pubsub:SUBSCRIPTION, sqs:QUEUE, kafka:TOPIC, watch:PATTERN."
        ),
    ] = ""
    begin: Annotated[
        str, Meta(description="Where a stream begins: earliest, latest, or a time of arrival.")
    ] = "earliest"
    source_options: Annotated[
        dict[str, Any], Meta(description="Further options of the stream's source, as JSON.")
    ] = field(default_factory=dict[str, Any])
    stop_messages: Annotated[
        int, Meta(ge=0, description="End a stream after so many messages; 0 for never.")
    ] = 0
    stop_file: Annotated[
        str, Meta(description="End a stream, and drain the job, once this file exists.")
    ] = ""
    schema: Annotated[
        str, Meta(description="Schema file with the channels, or the name of a shipped one.")
    ] = "room"
    lake: Annotated[
        str, Meta(min_length=1, description="Where the lake is: a folder, s3:// or gs://.")
    ] = "lake"
    devices: Annotated[
        str, Meta(description="Device registry (.csv, .jsonl, .yaml); read again when it changes.")
    ] = ""
    registry_refresh: Annotated[
        float, Meta(ge=0, description="Seconds between two looks at the registry.")
    ] = 60.0
    policy: Annotated[
        str, Meta(description="Policy file (.yaml): thresholds, mute windows, who is told.")
    ] = ""
    policy_refresh: Annotated[
        float, Meta(ge=0, description="Seconds between two looks at the policy.")
    ] = 60.0
    notify: Annotated[
        bool, Meta(description="Tell people what the policy's routes say; a replay does not.")
    ] = True
    feedback: Annotated[
        str, Meta(description="What operators say of incidents: a source like --source.")
    ] = ""
    detector: Annotated[str, Meta(description="The model of each device.")] = "density"
    detector_options: Annotated[
        dict[str, Any], Meta(description="Settings of the detector, such as its threshold.")
    ] = field(default_factory=dict[str, Any])
    endpoint: Annotated[
        dict[str, Any], Meta(description="Scoring endpoint, for --detector endpoint; as JSON.")
    ] = field(default_factory=dict[str, Any])
    drop: Annotated[
        tuple[DropRule, ...], Meta(description="Rules that drop readings: rule, device, type.")
    ] = ()
    batch: Annotated[
        int, Meta(ge=0, description="Messages a batch; 0: up to 30,000 of streams, 5,000 of files.")
    ] = 0
    shards: Annotated[
        int, Meta(ge=1, description="Shards of the fleet; fixed for a running job's state.")
    ] = 16
    state: Annotated[
        str, Meta(description="Device states of `eddyline state export` to begin with.")
    ] = ""
    export_state: Annotated[
        bool, Meta(description="Hand over at the end: write device states for another run.")
    ] = False
    disorder: Annotated[
        float, Meta(ge=0, description="Seconds a device's readings may come out of order.")
    ] = 10.0
    remember: Annotated[
        int, Meta(ge=1, description="Last readings a device remembers against duplicates.")
    ] = 64
    allowed_lateness: Annotated[
        int, Meta(ge=0, description="Seconds for which late readings revise their minute.")
    ] = 3600
    early: Annotated[
        int, Meta(ge=0, description="Seconds until an open minute is told early; 0 for never.")
    ] = 0
    earliest: Annotated[
        datetime, Meta(tz=True, description="Event times before it are dead letters.")
    ] = datetime(1990, 1, 1, tzinfo=UTC)
    future: Annotated[
        float, Meta(ge=0, description="Seconds an event time may be ahead of its arrival.")
    ] = 600.0
    max_bytes: Annotated[
        int, Meta(ge=1, description="Largest payload, before and after decompression.")
    ] = 2**20
    lake_shards: Annotated[int, Meta(ge=1, description="Writers a table, when streaming.")] = 2
    flush_seconds: Annotated[
        float, Meta(gt=0, description="Longest wait of a row for its file, when streaming.")
    ] = 4.0
    lake_patience: Annotated[
        float, Meta(ge=0, description="Seconds a write outlasts a lake that refuses it.")
    ] = 600.0
    warehouse: Annotated[
        str, Meta(description="BigQuery dataset PROJECT.DATASET to write too; empty for none.")
    ] = ""
    warehouse_tables: Annotated[
        tuple[WarehouseTable, ...], Meta(description="Tables written there.")
    ] = ("minutes", "anomalies", "incidents", "dead_letters")
    warehouse_method: Annotated[
        Literal["streaming_inserts", "storage_write"],
        Meta(description="By insert ids, or the Storage Write API (at least once)."),
    ] = "streaming_inserts"
    warehouse_patience: Annotated[
        float, Meta(ge=0, description="Seconds without an answer until a bundle fails.")
    ] = 600.0
    results: Annotated[
        dict[ResultTable, str],
        Meta(description="Table to pubsub:TOPIC, kinesis:STREAM or sns:TOPIC, as JSON."),
    ] = field(default_factory=dict[ResultTable, str])
    results_encoding: Annotated[
        Literal["json", "avro"], Meta(description="Form of a result's message.")
    ] = "json"
    results_ordered: Annotated[bool, Meta(description="Pub/Sub: the device as ordering key.")] = (
        False
    )
    results_patience: Annotated[
        float, Meta(ge=0, description="Seconds until results become dead letters.")
    ] = 120.0
    raw: Annotated[bool, Meta(description="Keep the messages as they came, for replay.")] = True


def settings_of(given: Mapping[str, Any], file: str = "") -> Settings:
    """Settings from given values over those of a YAML file over the defaults.

    Raises:
        ValueError: A key is unknown or a value wrong; the message begins with the option's name.
        FileNotFoundError: There is no such file.

    Example:
        >>> settings_of({"source": "in.jsonl", "shards": "8"}).shards
        8
        >>> settings_of({"detector_options": '{"warm_up": 200}'}).detector_options
        {'warm_up': 200}
        >>> settings_of({"shards": 0})
        Traceback (most recent call last):
        ValueError: --shards: Expected `int` >= 1
        >>> settings_of({"sourec": "in.jsonl"})
        Traceback (most recent call last):
        ValueError: no setting 'sourec'; there are: allowed_lateness, batch, ...
    """
    merged = {**(_read(file) if file else {}), **given}
    known = {f.name for f in fields(Settings)}
    if unknown := sorted(set(merged) - known):
        raise ValueError(f"no setting {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    try:
        return msgspec.convert(_parsed(merged), Settings, strict=False)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at ")
        name = re.sub(r"^`\$\.|`$", "", path).replace("_", "-")
        raise ValueError(f"--{name}: {words}") from error


def _parsed(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values with those of structured settings read, where the command line gave a text."""
    structured = {f.name for f in fields(Settings) if not isinstance(f.default, str | int | float)}
    parsed = dict(given)
    for name in structured & set(given):
        if isinstance(given[name], str) and given[name].lstrip()[:1] in ("{", "["):
            try:
                parsed[name] = yaml.safe_load(given[name])
            except yaml.YAMLError as error:
                raise ValueError(f"--{name.replace('_', '-')}: not JSON: {error}") from error
    return parsed


def _read(file: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: settings as `name: value` expected")
    return {str(key).replace("-", "_"): value for key, value in content.items()}
