"""ResultWriter: rows of a table as messages to their destination."""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from eddyline.io.outages import OUTAGES
from eddyline.io.results.destination import Destination
from eddyline.io.results.encode import Encoder, Encoding, Result
from eddyline.io.rows.fitting import fitting
from eddyline.io.rows.refused import RefusedRow, refused_row
from eddyline.io.rows.resend import Outcome, resend
from eddyline.io.rows.table import RowTable


class Publisher(Protocol):
    """Sends results to one stream or topic."""

    def attempt(self, results: Sequence[Result]) -> Outcome[Result]:
        """Send once; tells which were refused and which may be taken later."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class ResultWriter:
    """Publishes batches of a table.

    Guarantee: when `write` returns, each row was taken or is in what it returns. What is not taken
    for `patience` seconds is given back as `undelivered`: a stream of results never stops the job,
    whose lake has the rows.

    Args:
        publisher: Of the destination.
        encoding: json or avro.
        patience: Seconds without a single row taken.
    """

    def __init__(self, publisher: Publisher, encoding: Encoding, patience: float) -> None:
        self._publisher, self._patience = publisher, patience
        self._encoding: Encoding = encoding

    def write(self, table: RowTable, batches: Sequence[pa.RecordBatch]) -> list[RefusedRow]:
        """Publish all rows, in their order."""
        encoder: Encoder = Encoder(table, self._encoding)
        refused: list[RefusedRow] = []
        results: list[Result] = []
        for batch in batches:
            fit = fitting(table, batch)
            refused += fit.refused
            results += encoder.results(fit.rows)
        with OUTAGES.waiting_for(f"the results of {table.name}") as refusing:
            outcome = resend(self._publisher.attempt, results, self._patience, refusing=refusing)
        for problem in (*outcome.refused, *outcome.again):
            row = problem.item
            refused.append(
                refused_row(table, row.batch, row.at, problem.reason, problem.error, row.result_id)
            )
        return refused

    def close(self) -> None:
        """Close the connections."""
        self._publisher.close()


def publisher(destination: Destination, *, ordered: bool) -> Publisher:
    """The publisher of a destination; its client library is imported here and not before."""
    if destination.kind == "pubsub":
        from eddyline.io.results.pubsub import PubSubPublisher

        return PubSubPublisher(destination.name, ordered=ordered)
    if destination.kind == "kinesis":
        from eddyline.io.results.kinesis import KinesisPublisher

        return KinesisPublisher(destination.name)
    from eddyline.io.results.sns import SnsPublisher

    return SnsPublisher(destination.name)
