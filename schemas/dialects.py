"""The dialects by name, as text: what `eddyline schema RECORD --dialect NAME` prints.

Example:
    >>> from eddyline.schemas.record import load_contract
    >>> print(DIALECTS["arrow"](load_contract("room").record("device")).splitlines()[0])
    device_id: string not null
"""

import json
from collections.abc import Callable
from typing import Any

from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.avro import avro_schema
from eddyline.schemas.bigquery import bigquery_schema
from eddyline.schemas.glue import glue_columns
from eddyline.schemas.json_schema import json_schema
from eddyline.schemas.record import Record


def _json(schema: Any) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False, allow_nan=False)


DIALECTS: dict[str, Callable[[Record], str]] = {
    "avro": lambda record: _json(avro_schema(record)),
    "json": lambda record: _json(json_schema(record)),
    "arrow": lambda record: str(arrow_schema(record)),
    "bigquery": lambda record: _json(bigquery_schema(record)),
    "glue": lambda record: _json(glue_columns(record)),
}
