"""What is sent and what is answered: one JSON form for every kind of endpoint."""

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pyarrow as pa

from eddyline.io.endpoint.failed import ScoringFailed

Form = Literal["named", "features"]
Also = Literal[
    "device_id",
    "event_time",
    "firmware",
    "site",
    "latitude",
    "longitude",
    "model",
    "known",
]
"""Columns of a reading that can be sent beside its channels."""
ANSWERS = ("predictions", "scores")


def instances_of(
    readings: pa.RecordBatch, channels: Sequence[str], form: Form, also: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What is sent of each reading.

    `named` is an object of the channels by name; `features` has them as a list of numbers under
    `features`, in the order of the schema. A channel that is missing is null.

    Args:
        readings: Enriched readings.
        channels: Names, in the order of the schema.
        form: How they are sent.
        also: Further columns to send beside them, such as `device_id` or `model`.

    Example:
        >>> batch = pa.RecordBatch.from_pydict(
        ...     {"device_id": ["a"], "temperature": [20.5], "open": [True], "co": [None]})
        >>> instances_of(batch, ["temperature", "open", "co"], "named", ["device_id"])
        [{'device_id': 'a', 'temperature': 20.5, 'open': True, 'co': None}]
        >>> instances_of(batch, ["temperature", "open", "co"], "features")
        [{'features': [20.5, 1.0, None]}]
    """
    if form == "named":
        return readings.select([*also, *channels]).to_pylist()
    beside = readings.select(list(also)).to_pylist() if also else [{}] * readings.num_rows
    rows = readings.select(list(channels)).to_pylist()
    return [
        {**more, "features": [None if v is None else float(v) for v in row.values()]}
        for more, row in zip(beside, rows, strict=True)
    ]


def body_of(instances: Sequence[dict[str, Any]]) -> bytes:
    """The request: `{"instances": [...]}`, as Vertex AI and TensorFlow Serving have it."""
    return msgspec.json.encode({"instances": instances})


def scores_of(answer: bytes, rows: int) -> list[float | None]:
    """The scores of an answer, None for one that is no finite number.

    The answer is a list, or an object with it under `predictions` or `scores`. Each entry is a
    number, an object with a number under `score`, or a list of one number.

    Raises:
        ScoringFailed: It is of no such form, or has another number of entries than was asked for.

    Example:
        >>> scores_of(b'{"predictions": [0.25, {"score": 3}, [1.5], null, NaN, true]}', 6)
        [0.25, 3.0, 1.5, None, None, None]
        >>> scores_of(b'{"predictions": [0.25]}', 2)
        Traceback (most recent call last):
        eddyline.io.endpoint.failed.ScoringFailed: 1 scores for 2 readings
    """
    try:
        found: Any = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ScoringFailed("bad_response", f"no JSON: {str(error)[:200]}") from None
    if isinstance(found, dict):
        found = next((found[name] for name in ANSWERS if name in found), None)
    if not isinstance(found, list):
        raise ScoringFailed("bad_response", "no list under `predictions` or `scores`")
    if len(found) != rows:
        raise ScoringFailed("bad_response", f"{len(found)} scores for {rows} readings")
    return [_number(entry) for entry in found]


def _number(entry: Any) -> float | None:
    if isinstance(entry, dict):
        entry = entry.get("score")
    elif isinstance(entry, list):
        entry = entry[0] if len(entry) == 1 else None
    if isinstance(entry, bool) or not isinstance(entry, int | float):
        return None
    try:
        number = float(entry)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
