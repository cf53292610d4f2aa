"""Doctor: all checks of a run, one after the other."""

import time
from collections.abc import Callable
from functools import partial

from apache_beam.options.pipeline_options import PipelineOptions

from eddyline.pipeline.doctor.check import Check, examine
from eddyline.pipeline.doctor.clock import look_at_clock, service_address
from eddyline.pipeline.doctor.files import look_at_policy, look_at_registry, look_at_schema
from eddyline.pipeline.doctor.lake import look_at_lake
from eddyline.pipeline.doctor.results import look_at_destination
from eddyline.pipeline.doctor.runner import look_at_runner
from eddyline.pipeline.doctor.source import look_at_source
from eddyline.pipeline.settings import Settings
from eddyline.schemas.record import load_contract


def doctor(
    settings: Settings, options: PipelineOptions | None = None, now: Callable[[], float] = time.time
) -> list[Check]:
    """Look at everything that a run would need, in the order in which it would.

    Guarantee: nothing stays changed. A probe is written into the lake and deleted; sources and
    destinations are described, and nothing is taken from them or sent to them. A check that fails
    does not end the others. Each takes at most some tens of seconds.

    Args:
        settings: What the run would touch.
        options: Beam's options; None to leave the engine out.
        now: Seconds since the epoch.
    """
    looks: list[tuple[str, Callable[[], str]]] = [
        (f"schema {settings.schema}", partial(look_at_schema, settings.schema))
    ]
    if options is not None:
        looks.append(("engine", partial(look_at_runner, options)))
    if settings.source:
        looks.append((f"source {settings.source}", partial(look_at_source, settings.source)))
    if settings.devices:
        look = partial(look_at_registry, settings.devices, settings.schema)
        looks.append((f"registry {settings.devices}", look))
    if settings.policy:
        looks.append((f"policy {settings.policy}", partial(look_at_policy, settings.policy)))
    if settings.lake:
        looks.append((f"lake {settings.lake}", partial(look_at_lake, settings.lake)))
    looks += [
        (f"warehouse {table}", partial(_table, settings, table))
        for table in (settings.warehouse_tables if settings.warehouse else ())
    ]
    looks += [
        (f"results {table} to {destination}", partial(look_at_destination, destination))
        for table, destination in settings.results.items()
    ]
    if address := service_address(_talks_to(settings)):
        looks.append(("clock", partial(look_at_clock, address, now)))
    return [examine(name, look) for name, look in looks]


def _table(settings: Settings, table: str) -> str:
    from eddyline.pipeline.doctor.warehouse import look_at_table

    return look_at_table(settings.warehouse, table, load_contract(settings.schema))


def _talks_to(settings: Settings) -> list[str]:
    warehouse = [f"bigquery:{settings.warehouse}"] if settings.warehouse else []
    return [settings.source, settings.lake, *settings.results.values(), *warehouse]
