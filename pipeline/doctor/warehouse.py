"""Whether the warehouse's tables are there, as the job writes them, and may be written."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.api_core.exceptions import Forbidden, NotFound
from google.cloud.bigquery import Client, SchemaField

from eddyline.io.rows.table import row_table
from eddyline.io.warehouse.dataset import parse_dataset
from eddyline.pipeline.doctor.check import Ill
from eddyline.pipeline.doctor.google import ill, remedy
from eddyline.schemas.bigquery import bigquery_schema
from eddyline.schemas.record import Contract

NEEDED = ("bigquery.tables.updateData", "bigquery.tables.get")

# The API answers with the first of each pair and takes both.
_SAME = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def look_at_table(dataset: str, name: str, contract: Contract) -> str:
    """Compare one table with the record it holds, and ask for the permissions on it."""
    place = parse_dataset(dataset)
    table, record = f"{place}.{name}", row_table(contract, name).record
    columns = f"eddyline schema {record.name} --dialect bigquery prints its columns."
    try:
        client = place.rows()
    except Exception as error:
        raise ill(error, table) from error
    try:
        found = client.get_table(table, retry=None, timeout=10)  # pyright: ignore[reportArgumentType]
    except NotFound as error:
        raise Ill(
            f"{table} is not there", f"eddyline never creates it: use Terraform. {columns}"
        ) from error
    except Forbidden as error:
        raise Ill(f"{table}: permission missing: {NEEDED[1]}", remedy(NEEDED[1:])) from error
    else:
        differences = differences_of(bigquery_schema(record), found.schema)
        if differences:
            raise Ill(f"{table}: {'; '.join(differences)}", f"Change it with Terraform. {columns}")
        _ask_permissions(client, table)
        return f"{len(found.schema)} columns, and we may insert"
    finally:
        client.close()


def differences_of(wanted: Sequence[Mapping[str, Any]], there: Sequence[SchemaField]) -> list[str]:
    """Why rows of the wanted columns would be refused by a table with those that are there.

    A column of the table's own is no reason, unless it is REQUIRED. Nor is a column that the table
    lets be null and the record does not.

    Example:
        >>> differences_of(
        ...     [{"name": "site", "type": "STRING", "mode": "NULLABLE"}],
        ...     [SchemaField("site", "INT64", "REQUIRED"), SchemaField("own", "STRING")],
        ... )
        ['site is INTEGER and not STRING', 'site is REQUIRED and not NULLABLE']
    """
    fields = {field.name: field for field in there}
    differences: list[str] = []
    for column in wanted:
        name, kind, mode = column["name"], column["type"], column["mode"]
        field = fields.pop(name, None)
        if field is None:
            differences.append(f"no column {name}")
            continue
        field_type = _SAME.get(field.field_type, field.field_type)
        if field_type != kind:
            differences.append(f"{name} is {field_type} and not {kind}")
        if field.mode != mode and not (mode == "REQUIRED" and field.mode == "NULLABLE"):
            differences.append(f"{name} is {field.mode} and not {mode}")
    differences += [
        f"{name} is REQUIRED and eddyline has no such column"
        for name, field in fields.items()
        if field.mode == "REQUIRED"
    ]
    return differences


def _ask_permissions(client: Client, table: str) -> None:
    answer = client.test_iam_permissions(
        table,
        NEEDED,
        retry=None,  # pyright: ignore[reportArgumentType] documented: none of its own
        timeout=10,
    )
    has = answer.get("permissions", [])
    if missing := [permission for permission in NEEDED if permission not in has]:
        raise Ill(f"{table}: permission missing: {', '.join(missing)}", remedy(missing))
