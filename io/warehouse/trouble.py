"""Trouble with a table that waiting does not mend, in words that say what to do."""

from google.api_core.exceptions import Forbidden, NotFound

WRITING = ("bigquery.tables.updateData", "bigquery.tables.get", "bigquery.datasets.get")
ROLE = "roles/bigquery.dataEditor"


class WarehouseRefused(RuntimeError):
    """The warehouse takes no row at all until someone changes it; the message says what."""


class WarehouseUnavailable(RuntimeError):
    """The warehouse did not answer for longer than the patience; a repeated bundle may find it."""


def explain(error: Exception, table: str, record: str) -> WarehouseRefused:
    """The same error in words that say what to do.

    Args:
        error: What was raised.
        table: PROJECT.DATASET.TABLE.
        record: The record's name, for the command that prints its columns.

    Example:
        >>> str(explain(NotFound("x"), "p.d.minutes", "minute")).split(":")[0]
        'BigQuery has no table p.d.minutes'
    """
    if isinstance(error, NotFound):
        return WarehouseRefused(
            f"BigQuery has no table {table}: eddyline never creates one, make it with Terraform "
            f"(its columns: eddyline schema {record} --dialect bigquery). {error}"
        )
    if isinstance(error, Forbidden):
        return WarehouseRefused(
            f"BigQuery does not let us write into {table}: the job's account needs "
            f"{', '.join(WRITING)} there, which {ROLE} has. {error}"
        )
    return WarehouseRefused(f"BigQuery refuses {table}: {error}")
