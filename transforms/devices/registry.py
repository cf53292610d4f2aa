"""The device registry: what is known of a device beside what it sends."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import yaml
from msgspec import Meta
from numpy.typing import NDArray

from eddyline.transforms.policy.severity import Importance

PLACE = pa.schema(
    [
        pa.field("site", pa.string()),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("model", pa.string()),
    ]
)


class Device(msgspec.Struct, forbid_unknown_fields=False):
    """A row of the registry; fields that eddyline does not know are left alone."""

    device_id: Annotated[str, Meta(min_length=1)]
    site: str | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    model: str | None = None
    importance: Importance = "normal"
    expected: bool = False


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """What one model may measure in one channel, in the channel's unit."""

    minimum: float = -math.inf
    maximum: float = math.inf

    def __post_init__(self) -> None:
        if not self.minimum <= self.maximum:  # also where one of them is NaN
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    devices: list[dict[str, Any]] = []
    models: dict[str, dict[str, Limits]] = {}


@dataclass(frozen=True)
class Registry:
    """Devices with their place and model, and the limits of each model.

    Args:
        row: Device id -> row of `places`.
        places: One row a device, the columns of `PLACE`.
        low: devices × channels, the lower limit; -inf where there is none.
        high: devices × channels, the upper limit; inf where there is none.
        importance: One a device: how severe its incidents are.
        expected: Devices of which it is an incident that nothing was ever heard.
    """

    row: Mapping[str, int]
    places: pa.RecordBatch
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    importance: tuple[Importance, ...] = ()
    expected: tuple[str, ...] = ()


def read_registry(name: str, content: bytes, channels: Sequence[str]) -> Registry:
    r"""Read a registry file.

    Args:
        name: Its name; the ending tells the form: `.csv` with a header line, `.jsonl` with one
            device a line, `.yaml` with `devices:` and, if wanted, `models:` (limits by channel).
        content: The file's bytes.
        channels: The declared channels, in the order of the columns of `low` and `high`.

    Raises:
        ValueError: What is wrong and in which row. A file is taken whole or not at all.

    Example:
        >>> registry = read_registry("d.csv", b"device_id,site,latitude\na,Bern,46.9\n", ["t"])
        >>> registry.row["a"], registry.places.to_pylist()[0]["site"]
        (0, 'Bern')
        >>> read_registry("d.csv", b"device_id,latitude\na,99\n", [])
        Traceback (most recent call last):
        ValueError: d.csv, device 1: Expected `float` <= 90.0 - at `$.latitude`
    """
    models: Mapping[str, Mapping[str, Limits]] = {}
    try:
        if not content.strip():
            raise ValueError("the file is empty")
        if name.endswith(".csv"):
            rows = _csv_rows(content)
        elif name.endswith((".jsonl", ".ndjson")):
            rows = _json_rows(content)
        elif name.endswith((".yaml", ".yml")):
            document = msgspec.convert(yaml.safe_load(content), _Document)
            rows, models = document.devices, document.models
        else:
            raise ValueError("a registry's name ends in .csv, .jsonl or .yaml")
        devices = _devices(rows)
    except (
        msgspec.ValidationError,
        UnicodeDecodeError,
        RecursionError,
        yaml.YAMLError,
        csv.Error,
    ) as error:
        raise ValueError(f"{name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name}, {error}") from error
    _check_limits(name, models, channels)
    return _registry(devices, models, channels)


def _csv_rows(content: bytes) -> Iterable[dict[str, Any]]:
    # Spreadsheets write a byte order mark.
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    rows = csv.DictReader(text, skipinitialspace=True, strict=True)
    if "device_id" not in (rows.fieldnames or ()):
        raise ValueError("the header line has no device_id")
    return rows


def _json_rows(content: bytes) -> Iterator[dict[str, Any]]:
    lines = (line for line in content.splitlines() if line.strip())
    for number, line in enumerate(lines, start=1):
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"device {number}: {error}") from error


def _devices(rows: Iterable[dict[str, Any]]) -> list[Device]:
    devices: list[Device] = []
    for number, row in enumerate(rows, start=1):
        given = {key: value for key, value in row.items() if value not in ("", None)}
        try:
            devices.append(msgspec.convert(given, Device, strict=False))
        except msgspec.ValidationError as error:
            raise ValueError(f"device {number}: {error}") from error
    ids = [device.device_id for device in devices]
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))
        raise ValueError(f"device {twice!r} is listed twice")
    return devices


def _check_limits(
    name: str, models: Mapping[str, Mapping[str, Limits]], channels: Sequence[str]
) -> None:
    for model, limits in models.items():
        if unknown := sorted(set(limits) - set(channels)):
            raise ValueError(f"{name}, model {model!r}: no such channel: {', '.join(unknown)}")


def _registry(
    devices: Sequence[Device],
    models: Mapping[str, Mapping[str, Limits]],
    channels: Sequence[str],
) -> Registry:
    low = np.full((len(devices), len(channels)), -np.inf)
    high = -low
    for row, device in enumerate(devices):
        for channel, limit in models.get(device.model or "", {}).items():
            column = channels.index(channel)
            low[row, column], high[row, column] = limit.minimum, limit.maximum
    places = pa.RecordBatch.from_arrays(
        [pa.array([getattr(d, field.name) for d in devices], field.type) for field in PLACE],
        schema=PLACE,
    )
    return Registry(
        {d.device_id: row for row, d in enumerate(devices)},
        places,
        low,
        high,
        tuple(d.importance for d in devices),
        tuple(d.device_id for d in devices if d.expected),
    )
