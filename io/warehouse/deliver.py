"""Deliver: rows by whatever call, with what every BigQuery call has in common."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from apache_beam.metrics import Metrics

from eddyline.io.outages import OUTAGES
from eddyline.io.rows.google_errors import ANSWERS, is_rows_fault, is_too_large, may_pass
from eddyline.io.rows.resend import Outcome, Problem, resend
from eddyline.io.warehouse.trouble import WarehouseUnavailable, explain

T = TypeVar("T")

REQUESTS = Metrics.counter("warehouse", "requests")
REPEATED = Metrics.counter("warehouse", "requests_repeated")


def deliver(
    send: Callable[[Sequence[T]], Outcome[T]],
    rows: Sequence[T],
    patience: float,
    table: str,
    record: str,
) -> list[Problem[T]]:
    """Send rows until each is in the table or refused.

    A request that is refused as a whole for its rows' sake is halved until the row is found.

    Args:
        send: Sends some rows once and tells what became of them, or raises one of `ANSWERS`.
        rows: What to send.
        patience: Seconds without an answer until it gives up.
        table: PROJECT.DATASET.TABLE, for words.
        record: Name of the table's record, for words.

    Raises:
        WarehouseRefused: There is no such table, or we may not write into it.
        WarehouseUnavailable: No row was taken for longer than the patience.
    """

    def attempt(left: Sequence[T]) -> Outcome[T]:
        try:
            REQUESTS.inc()
            return send(left)
        except ANSWERS as error:
            if may_pass(error):
                REPEATED.inc()
                return Outcome(again=[Problem(row, "unavailable", str(error)) for row in left])
            if not is_rows_fault(error):
                raise explain(error, table, record) from error
            if len(left) == 1:
                reason = "too_large" if is_too_large(error) else "refused"
                return Outcome(refused=[Problem(left[0], reason, str(error))])
        middle = len(left) // 2
        first, second = attempt(left[:middle]), attempt(left[middle:])
        return Outcome(first.refused + second.refused, first.again + second.again)

    dataset = table.rpartition(".")[0]
    with OUTAGES.waiting_for(f"BigQuery {dataset}") as refusing:
        outcome = resend(attempt, rows, patience, refusing=refusing)
        if outcome.again:
            raise WarehouseUnavailable(
                f"BigQuery took no row of {table} for {patience:g} s: {outcome.again[0].error}"
            )
    return outcome.refused
