"""Train: an Isolation Forest from the readings of a lake."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.pretrained.features import SIGNS, features_of
from eddyline.detectors.pretrained.fit import fit_forests
from eddyline.detectors.pretrained.model import About, Model, ModelChannel
from eddyline.detectors.usual import observe_usual, usual_layout
from eddyline.io.lake.read import open_table
from eddyline.schemas.record import load_contract
from eddyline.transforms.devices.channel_values import channel_values

BATCH = 50_000
HELD_OUT = 0.2
"""Share of the time, at its end, that the threshold is found on."""
Told = Callable[[int, int], None]
"""Is told how many rows are read, of how many."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What to train on, and how.

    Args:
        lake: Where the readings are.
        schema: Schema file with the channels, or the name of a shipped one.
        start: Event time, inclusive; None for the beginning.
        end: Exclusive; None for the end.
        devices: A device's id, or a glob.
        alarm_rate: Share of the readings that may be anomalies; it makes the threshold.
        sample: Most rows to train on, and to find the threshold on; drawn at random.
        trees: Of each forest: there is one for each channel and one for all together.
        window: Readings that a device's mean is over.
        warm_up: Values of a channel before it counts.
        seed: Of all that is random.

    Raises:
        ValueError: A number is out of its range.
    """

    lake: str
    schema: str = "room"
    start: datetime | None = None
    end: datetime | None = None
    devices: str = "*"
    alarm_rate: float = 0.001
    sample: int = 200_000
    trees: int = 50
    window: int = 300
    warm_up: int = 60
    seed: int = 42

    def __post_init__(self) -> None:
        least = {"sample": 2, "trees": 1, "window": 2, "warm_up": 1, "seed": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                option = name.replace("_", "-")
                raise ValueError(f"--{option}: at least {smallest}, not {getattr(self, name)}")
        if self.trees > 1000:
            raise ValueError(f"--trees: at most 1000, not {self.trees}")
        if not 0.0 < self.alarm_rate < 1.0:
            raise ValueError(f"--alarm-rate: between 0 and 1, not {self.alarm_rate}")


@dataclass(frozen=True)
class Trained:
    """A model, and what a person wants to know of it.

    Args:
        content: The ONNX file.
        about: What it says of itself.
        readings: All that fit, of which the rows were drawn.
        alarms: Share of the held-out rows that its threshold tells.
        alarms_a_day: The same, a device and day.
    """

    content: bytes
    about: About
    readings: int
    alarms: float
    alarms_a_day: float


def train(training: Training, told: Told | None = None) -> Trained:
    """Train on the first four fifths of the time; find the threshold on the last one.

    Each device's readings go in the order of their event time through the very code that scores
    them later, so that its means are what they would have been. Late readings, which no model
    learns from live, are left out. The same lake and settings give the same forest.

    Args:
        training: What, and how.
        told: Is told of the progress; None where nobody looks.

    Raises:
        ValueError: Nothing fits, or too little; a channel is not in the lake.
        deltalake.exceptions.TableNotFoundError: There is no lake.
    """
    contract = load_contract(training.schema)
    channels = tuple(
        Channel(c.name, c.minimum, c.maximum, c.kind, c.unit) for c in contract.channels
    )
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as connection:
        readings = Readings(connection, training, channels, spill)
        extent = readings.extent()
        cut = extent.start + (1.0 - HELD_OUT) * (extent.end - extent.start)
        # One generator each: how the batches are cut then plays no part in what is drawn.
        drawn = [Drawn(training.sample, g) for g in np.random.default_rng(training.seed).spawn(2)]
        rows = 0
        for batch, features in _features(readings.batches(), channels, training):
            rows += batch.num_rows
            time, vectors = features
            drawn[0].add(vectors[time < cut])
            drawn[1].add(vectors[time >= cut])
            if told is not None:
                told(rows, extent.readings)
    train_on, held_out = (draw.rows for draw in drawn)
    about = About(
        channels=tuple(ModelChannel(c.name, c.kind) for c in channels),
        window=training.window,
        warm_up=training.warm_up,
        trees=training.trees,
        scales=(),
        threshold=0.0,
        alarm_rate=training.alarm_rate,
        rows=0,
        held_out=0,
        devices=extent.devices,
        start=_iso(extent.start),
        end=_iso(extent.end),
        seed=training.seed,
        versions={"eddyline": version("eddyline")},
    )
    content = fit_forests(train_on, held_out, about)
    model = Model(content)
    alarms = float((model.score(held_out) >= model.about.threshold).mean())
    days = max((extent.end - extent.start) / 86_400e6, 1e-9)
    a_day = alarms * extent.readings / extent.devices / days
    return Trained(content, model.about, extent.readings, alarms, a_day)


@dataclass(frozen=True)
class Extent:
    """How much there is: readings, devices, and microseconds from the first to the last."""

    readings: int
    devices: int
    start: int
    end: int


class Readings:
    """The readings of the lake that a training is on."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        training: Training,
        channels: tuple[Channel, ...],
        spill: str,
    ) -> None:
        self.connection = connection
        self.names = [channel.name for channel in channels]
        connection.execute("set timezone = 'UTC'")
        connection.execute("set preserve_insertion_order = false")
        connection.execute("set temp_directory = ?", [spill])
        dataset = open_table(training.lake, "readings").to_pyarrow_dataset()
        if missing := [name for name in self.names if name not in dataset.schema.names]:
            raise ValueError(
                f"--schema: the lake {training.lake} has no channel {missing[0]!r}; "
                "name the schema that the job was run with"
            )
        connection.register("readings", dataset)
        terms: dict[str, Any] = {
            "device_id glob ?": training.devices,
            "event_time >= ?": training.start,
            "event_time < ?": training.end,
        }
        self.given = {term: value for term, value in terms.items() if value is not None}
        self.where = " and ".join(["verdict <> 'LATE'", *self.given])

    def extent(self) -> Extent:
        """Count them.

        Raises:
            ValueError: There are none.
        """
        [found] = self._query(
            "count(*), count(distinct device_id), epoch_us(min(event_time)), "
            "epoch_us(max(event_time))"
        ).fetchall()
        if not found[0]:
            raise ValueError("no readings that fit: look at --from, --to and --devices")
        return Extent(*found)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All of them, device by device, each device's in the order of event time."""
        columns = ", ".join(f'"{name}"' for name in ("device_id", "event_time", *self.names))
        query = self._query(columns, "order by device_id, event_time, reading_id")
        yield from query.to_arrow_reader(BATCH)

    def _query(self, columns: str, order: str = "") -> duckdb.DuckDBPyRelation:
        # Names are those of the schema, which are identifiers; what a user types is a parameter.
        text = f"select {columns} from readings where {self.where} {order}"  # noqa: S608
        return self.connection.sql(text, params=list(self.given.values()))


def _features(
    batches: Iterator[pa.RecordBatch], channels: tuple[Channel, ...], training: Training
) -> Iterator[tuple[pa.RecordBatch, tuple[NDArray[np.int64], NDArray[np.float32]]]]:
    """Each batch with event times and features of the rows in which a channel is ready."""
    names = [channel.name for channel in channels]
    layout = usual_layout(len(channels))
    last, carried = None, layout.new(1)
    for batch in batches:
        encoded = batch.column("device_id").dictionary_encode()
        ids = encoded.dictionary.to_pylist()
        state = layout.new(len(ids))
        if ids[0] == last:  # a batch ends anywhere
            state[0] = carried[0]
        values = channel_values(batch, names)
        device = encoded.indices.to_numpy().astype(np.int32)
        about = observe_usual(training.window, channels, state, device, values)
        last, carried = ids[-1], state[-1:].copy()
        features = features_of(about, values, range(len(channels)), training.warm_up)
        time = batch.column("event_time").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        scored = ~np.isnan(features).all(axis=1)
        yield batch, (time.to_numpy()[scored], features[scored])


@dataclass
class Drawn:
    """Rows drawn from a stream, each with the same chance, in memory for `most` of them.

    Every row gets a random number; those with the smallest stay, in the order they came.
    """

    most: int
    random: np.random.Generator
    _rows: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    _lots: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])

    def add(self, rows: NDArray[np.float32]) -> None:
        """Draw from further rows."""
        self._rows.append(rows)
        self._lots.append(self.random.random(len(rows)))
        if sum(map(len, self._lots)) > 2 * self.most:
            self._shrink()

    @property
    def rows(self) -> NDArray[np.float32]:
        """What was drawn."""
        self._shrink()
        return self._rows[0]

    def _shrink(self) -> None:
        rows = np.concatenate([*self._rows, np.empty((0, self._width), np.float32)])
        lots = np.concatenate([*self._lots, np.empty(0)])
        if len(lots) > self.most:
            kept = np.sort(np.argpartition(lots, self.most)[: self.most])
            rows, lots = rows[kept], lots[kept]
        self._rows, self._lots = [rows], [lots]

    @property
    def _width(self) -> int:
        return self._rows[0].shape[1] if self._rows else len(SIGNS)


def _iso(micros: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
