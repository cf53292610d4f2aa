"""The pre-trained detector: one forest for the fleet, and for each device what is usual there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel
from eddyline.detectors.pretrained.explain import Lost, ablation, explain
from eddyline.detectors.pretrained.features import VERSION, features_of
from eddyline.detectors.pretrained.model import About, find_model, load_model
from eddyline.detectors.protocol import Explanation, RecordRefused, Scores, Verdict
from eddyline.detectors.record import RecordCodec, channel_names, settings_hash
from eddyline.detectors.rows import check_rows
from eddyline.detectors.setting import check_number
from eddyline.detectors.thresholds import resolve_thresholds
from eddyline.detectors.usual import observe_usual, usual_layout


@dataclass(frozen=True)
class Pretrained:
    """Isolation Forests that `eddyline train` has trained on the lake, the same for all devices.

    A forest is given how each channel stands to what is usual of it on its own device (level,
    change, motion), so one model fits rooms of 18 and of 24 °C. A device keeps its channels' slow
    mean, deviation and usual change, 56 bytes a channel; these go on learning, the forests do not.

    The score is in bits: of the readings trained on, a share of 2^-score was as isolated in the
    same channel, or in all together. A channel counts once it has shown `warm_up` values; where it
    is missing it does not. The verdict is WARM_UP where none of the model's channels is ready,
    UNSCORED where the reading has no value in any of them. Declared channels that the model was not
    trained on play no part.

    The file is read when the detector is made, and one that does not fit is refused there. The
    detector keeps its digest: a worker that finds other content under the path refuses to go on.

    Args:
        channels: What the columns of the readings are.
        model: File of `eddyline train`: a path, s3:// or gs://.
        threshold: A score from here on is an ANOMALY; None takes the model's own.
        warm_up: Values that a channel needs.

    Raises:
        ValueError: A setting is out of its range, the model does not fit the channels, is none, or
            cannot be read.
    """

    name: ClassVar[str] = "pretrained"
    kinds: ClassVar[tuple[str, ...]] = ("event",)

    channels: tuple[Channel, ...]
    model: str = ""
    threshold: float | None = None
    warm_up: int = 60
    digest: str = field(init=False)
    """SHA-256 of the model."""
    about: About = field(init=False, repr=False, compare=False)
    """What the model says of itself."""

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("detector pretrained: channels: at least one is needed")
        if self.threshold is not None:
            check_number(self.name, "threshold", self.threshold, 1e-6, 1e12)
        check_number(self.name, "warm_up", self.warm_up, 1, 1_000_000, whole=True)
        if not self.model:
            raise ValueError(
                "detector pretrained: model: the file is missing; `eddyline train` makes one"
            )
        try:
            digest, about = find_model(self.model)
            about.columns(self.channels)
        except (OSError, ValueError) as error:
            raise ValueError(f"detector pretrained: model: {self.model}: {error}") from error
        object.__setattr__(self, "digest", digest)
        object.__setattr__(self, "about", about)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The score from which on a reading is an ANOMALY."""
        return (self.about.threshold if self.threshold is None else self.threshold,)

    def new(self, devices: int) -> NDArray[Any]:
        """Return fresh models, one row a device."""
        return usual_layout(len(self.channels)).new(devices)

    def observe(
        self,
        state: NDArray[Any],
        device: NDArray[np.int32],
        event_time: NDArray[np.int64],
        values: NDArray[np.float64],
        thresholds: NDArray[np.float64] | None = None,
    ) -> Scores:
        """Score each reading by the forests, then learn what is usual of its device.

        Event times play no part: the mean is over readings.

        Raises:
            ValueError: The shapes do not agree, or a device is not a row of `state`.
        """
        rows = check_rows(state, device, event_time, values, self.channels)
        alarm = resolve_thresholds(self.thresholds, thresholds, len(state))[:, 0]
        columns = self.about.columns(self.channels)
        about = observe_usual(self.about.window, self.channels, state, rows.device, rows.values)
        features = features_of(about, rows.values, columns, self.warm_up)
        model = load_model(self.model, self.digest)
        score = np.full(len(rows.device), np.nan)
        scored = ~np.isnan(features).all(axis=1)
        score[scored] = model.score(features[scored])
        verdict = np.full(len(score), Verdict.NORMAL, dtype=np.uint8)
        verdict[~scored] = Verdict.WARM_UP
        verdict[np.isnan(rows.values[:, columns]).all(axis=1)] = Verdict.UNSCORED
        anomaly = score >= alarm[rows.device]
        verdict[anomaly] = Verdict.ANOMALY
        anomalies = np.flatnonzero(anomaly)
        explanations: dict[int, Explanation] = {}
        if len(anomalies):
            lost = ablation(model, features[anomalies])
            named = [self.channels[column] for column in columns]
            for row, *lost_here in zip(anomalies.tolist(), *lost, strict=True):
                explanations[row] = explain(
                    named, rows.values[row, columns], about[row][:, columns], Lost(*lost_here)
                )
        return Scores(score, verdict, anomaly.astype(np.uint8), explanations, {})

    def rebaseline(self, state: NDArray[Any], row: int) -> None:
        """Move each channel's mean to its last value; its deviation and usual change stay.

        Raises:
            IndexError: The fleet has no such row.
        """
        channel = state["channel"][row]
        channel["mean"] = channel["last"]
        channel["fast"] = channel["slow"]

    def encode(self, state: NDArray[Any], row: int) -> bytes:
        """Return one device's model as a record."""
        return self._codec.encode(state, row)

    def encode_many(self, state: NDArray[Any], rows: Sequence[int] | None = None) -> list[bytes]:
        """Return one record for each of these rows, or for all."""
        return self._codec.encode_many(state, rows)

    def decode(self, record: bytes, state: NDArray[Any], row: int) -> None:
        """Fill one row of `state` from a record; one of other channels keeps those in common.

        A device's record fits every model of the same window: a newly trained one goes on at once.

        Raises:
            RecordRefused: With the reason; the row is then fresh.
        """
        self._codec.decode(record, state, row)

    def decode_many(
        self, records: Sequence[bytes], state: NDArray[Any], rows: Sequence[int] | None = None
    ) -> dict[int, RecordRefused]:
        """Fill these rows, or the first ones; return the reasons of the refused, by position."""
        return self._codec.decode_many(records, state, rows)

    @property
    def _codec(self) -> RecordCodec:
        return _codec(self.channels, self.about.window)


@lru_cache(maxsize=64)
def _codec(channels: tuple[Channel, ...], window: int) -> RecordCodec:
    return RecordCodec(
        detector=Pretrained.name,
        settings=settings_hash({"features": VERSION, "window": window}),
        channels=channel_names(channels),
        layout=usual_layout(len(channels)),
        keep_channels=True,
    )
