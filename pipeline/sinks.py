"""Sinks: the lake always, the warehouse and result streams where the settings name them."""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from eddyline.io.durability import Durability
from eddyline.io.lake.raw import RawZone
from eddyline.io.lake.tables import Table, Target
from eddyline.io.lake.write import WriteLake
from eddyline.io.results.publish import PublishResults
from eddyline.io.rows.table import RowTable, row_table
from eddyline.io.warehouse.write import WriteWarehouse
from eddyline.pipeline.job import Batches, Outputs
from eddyline.pipeline.settings import Settings
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.record import load_contract


def write(outputs: Outputs, settings: Settings, *, streaming: bool, durability: Durability) -> Any:
    """Write the outputs; gives the files that were committed to the lake.

    What the warehouse or a result stream refuses joins the lake's dead letters.
    """
    refused = [*_warehouse(outputs, settings, streaming=streaming), *_results(outputs, settings)]
    if refused:
        dead_letters = (outputs.dead_letters, *refused) | "All dead letters" >> beam.Flatten()
        outputs = outputs._replace(dead_letters=dead_letters)
    tables = lake_tables(settings)
    return {table.name: getattr(outputs, table.name) for table in tables} | "Lake" >> WriteLake(
        settings.lake,
        tables,
        streaming=streaming,
        durability=durability,
        shards=settings.lake_shards,
        flush_seconds=settings.flush_seconds,
        patience=settings.lake_patience,
    )


def lake_tables(settings: Settings) -> list[Target]:
    """The tables of the lake, and the raw zone unless the settings leave it out."""
    contract = load_contract(settings.schema)

    def table(name: str, record: Any, time_column: str) -> Target:
        return Table(name, arrow_schema(contract.record(record)), time_column)

    tables = [
        table("readings", "reading", "event_time"),
        table("minutes", "minute", "minute_start"),
        table("anomalies", "anomaly", "event_time"),
        table("incidents", "incident", "event_time"),
        table("deliveries", "delivery", "attempted_at"),
        table("dead_letters", "dead_letter", "arrival_time"),
    ]
    if settings.export_state or settings.feedback:  # nobody else can ask for an export
        tables.append(table("device_states", "device_state", "exported_at"))
    return [*tables, RawZone(avro_schema(contract.record("message")))] if settings.raw else tables


def _warehouse(outputs: Outputs, settings: Settings, *, streaming: bool) -> list[Batches]:
    if not settings.warehouse:
        return []
    rows, tables = _chosen(outputs, settings, settings.warehouse_tables)
    warehouse = WriteWarehouse(
        settings.warehouse,
        tables,
        settings.warehouse_method,
        settings.warehouse_patience,
        settings.lake_shards if streaming else 0,
    )
    return [rows | "Warehouse" >> warehouse]


def _results(outputs: Outputs, settings: Settings) -> list[Batches]:
    if not settings.results:
        return []
    rows, tables = _chosen(outputs, settings, settings.results)
    destinations: dict[str, str] = {**settings.results}
    publish = PublishResults(
        destinations,
        tables,
        settings.results_encoding,
        settings.results_ordered,
        settings.results_patience,
    )
    return [rows | "Results" >> publish]


def _chosen(
    outputs: Outputs, settings: Settings, names: Iterable[str]
) -> tuple[dict[str, Batches], list[RowTable]]:
    contract = load_contract(settings.schema)
    tables = [row_table(contract, name) for name in names]
    return {table.name: getattr(outputs, table.name) for table in tables}, tables
