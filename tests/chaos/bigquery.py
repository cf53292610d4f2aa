"""BigQuery on loopback for a job, and what it has of what was sent."""

import time
from datetime import UTC, datetime

from eddyline.io.rows.table import row_table
from eddyline.schemas.bigquery import bigquery_schema
from eddyline.schemas.record import load_contract

TABLES = ("readings", "minutes", "anomalies", "incidents", "dead_letters")
DATASET = "project.chaos"


def columns():
    """The columns of its tables, by DATASET.TABLE, as the fake takes them."""
    contract = load_contract("room")
    return {f"chaos.{name}": bigquery_schema(row_table(contract, name).record) for name in TABLES}


class InBigQuery:
    """A job as `Recovery` looks at it, by the rows that BigQuery has in place of the lake's.

    Args:
        running: The job.
        bigquery: The service.
    """

    def __init__(self, running, bigquery):
        self.running, self.bigquery = running, bigquery
        self.until, self.words = running.until, running.words
        self._there, self._seen = set(), 0

    @property
    def process(self):
        """Of the job."""
        return self.running.process

    def rows(self, table):
        """Those of a table."""
        return list(self.bigquery.stored[f"chaos.{table}"])

    def behind(self, feed, forgiven=frozenset()):
        """Age in seconds of the oldest reading that was sent and is not there."""
        rows = self.rows("readings")
        self._there |= {(row["device_id"], micros(row["event_time"])) for row in rows[self._seen :]}
        self._seen = len(rows)
        now = time.time()
        sent = [(at, one) for one, at in list(feed.sent.items()) if one not in forgiven]
        return now - min((at for at, one in sent if one not in self._there), default=now)


def micros(text):
    """A timestamp as BigQuery takes it, in µs since the epoch."""
    at = datetime.fromisoformat(text)
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6 + 0.5)
