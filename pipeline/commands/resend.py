"""Resend: the alerts that became dead letters, once more through their channels."""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
import msgspec
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from deltalake.exceptions import TableNotFoundError

from eddyline.io.alerts.senders import open_sender
from eddyline.io.lake.read import open_table
from eddyline.io.lake.tables import Table
from eddyline.io.lake.write import WriteLake, create_tables
from eddyline.schemas.alert import Incident
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import load_contract
from eddyline.transforms.alerts.delivery_rows import DEAD_LETTER, DELIVERY, STAGE, Undelivered
from eddyline.transforms.notify import Delivery, Keyed, deliver_again
from eddyline.transforms.policy.policy import Policy

INCIDENT = arrow_schema(load_contract("room").record("incident"))
TABLES = (
    Table("deliveries", DELIVERY, "attempted_at"),
    Table("dead_letters", DEAD_LETTER, "arrival_time"),
)


class Resent(NamedTuple):
    """How many alerts were taken this time, and how many not."""

    delivered: int
    refused: int


@dataclass(frozen=True)
class Unchanging:
    """A policy that was read once."""

    policy: Policy

    def current(self) -> Policy:
        """Always the same."""
        return self.policy


def resend(lake: str, policy: Policy, channel: str = "", patience: float = 60.0) -> Resent:
    """Send the dead letters of the stage `notify` again that no channel has taken since.

    Guarantee: each (channel, key) once a call. The attempts and what fails once more go to the lake
    as those of the job do.

    Args:
        lake: The lake.
        policy: Its channels and words.
        channel: Only those of this one; all for empty.
        patience: Seconds for which it goes on trying without any success.

    Raises:
        TableNotFoundError: There is no lake yet.
    """
    undelivered = undelivered_in(lake, channel)
    delivery = Delivery(
        lambda: Unchanging(policy), open_sender, time.time, time.sleep, patience=patience
    )
    told = deliver_again(delivery, undelivered)
    create_tables(lake, TABLES)
    options = PipelineOptions([])
    with beam.Pipeline(runner="FnApiRunner", options=options) as pipeline:
        batches = {
            "deliveries": pa.RecordBatch.from_pylist(told.deliveries, schema=DELIVERY),
            "dead_letters": pa.RecordBatch.from_pylist(told.dead_letters, schema=DEAD_LETTER),
        }
        made = {
            name: pipeline | name >> beam.Create([batch]).with_output_types(pa.RecordBatch)
            for name, batch in batches.items()
            if batch.num_rows
        }
        if made:
            _ = made | "Lake" >> WriteLake(lake, TABLES)
    outcomes = [row["outcome"] for row in told.deliveries]
    return Resent(outcomes.count("delivered"), outcomes.count("refused"))


def undelivered_in(lake: str, channel: str = "") -> list[Keyed]:
    """The incidents to tell again, by channel, each transition once."""
    letters = open_table(lake, "dead_letters").to_pyarrow_table(columns=["stage", "payload"])
    taken = _taken(lake)
    waiting: defaultdict[str, dict[str, Incident]] = defaultdict(dict)
    for stage, payload in zip(*(column.to_pylist() for column in letters.columns), strict=True):
        if stage == STAGE:
            letter = msgspec.json.decode(payload, type=Undelivered)
            key = letter.incident.key
            if channel in ("", letter.channel) and (letter.channel, key) not in taken:
                waiting[letter.channel][key] = letter.incident
    return [
        (name, pa.RecordBatch.from_pylist(list(map(_row, of.values())), schema=INCIDENT))
        for name, of in sorted(waiting.items())
    ]


def _row(incident: Incident) -> dict[str, object]:
    return msgspec.structs.asdict(incident)


def _taken(lake: str) -> set[tuple[str, str]]:
    try:
        table = open_table(lake, "deliveries")
    except TableNotFoundError:
        return set()
    rows = table.to_pyarrow_table(columns=["channel", "key", "outcome"]).to_pylist()
    return {(row["channel"], row["key"]) for row in rows if row["outcome"] == "delivered"}
