"""A trained model: one ONNX file that says what it was trained on."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from eddyline.detectors.channel import Channel, Kind
from eddyline.detectors.pretrained.features import SIGNS, VERSION
from eddyline.detectors.pretrained.read import read_model

FORMAT = 1
KEY = "eddyline"
"""Under which the file's metadata holds `About` as JSON."""


class ModelChannel(msgspec.Struct, frozen=True):
    """A channel that a model was trained on."""

    name: str
    kind: Kind


class Scale(msgspec.Struct, frozen=True):
    """What lengths of paths mean: `bits[k]` for a mean path of `paths[k]`, linear between them.

    Args:
        paths: Ascending.
        bits: Descending; the share of training rows with paths as short is 2^-bits.
    """

    paths: tuple[float, ...]
    bits: tuple[float, ...]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is and where it comes from.

    Args:
        format: Of this description.
        features: Version of the features, `features.VERSION`.
        channels: In the order of its features.
        window: Readings that a device's mean is over, in training and after it.
        warm_up: Values of a channel that were left out of the training, at its beginning.
        trees: Of each part: of each channel's own forest, and of the joint one.
        scales: Of each part, the joint one last; a single channel has no joint one.
        threshold: The score from which on at most `alarm_rate` of the held-out rows lie.
        alarm_rate: Share.
        rows: Trained on.
        held_out: Rows that the threshold was found on, later than all of those.
        devices: In both.
        start: Of the training, ISO 8601.
        end: Of the held-out rows.
        seed: Of all that is random.
        versions: Of eddyline, scikit-learn and onnx, by name.
    """

    format: int = FORMAT
    features: int = VERSION
    channels: tuple[ModelChannel, ...]
    window: int
    warm_up: int
    trees: int
    scales: tuple[Scale, ...]
    threshold: float
    alarm_rate: float
    rows: int
    held_out: int
    devices: int
    start: str
    end: str
    seed: int
    versions: dict[str, str]

    def columns(self, channels: Sequence[Channel]) -> list[int]:
        """Return where the model's channels are among the declared ones.

        Raises:
            ValueError: One is not declared, or of another kind.

        Examples:
            >>> about = example_about([ModelChannel("co", "double")])
            >>> about.columns([Channel("temperature", -40.0, 85.0), Channel("co", 0.0, 1.0)])
            [1]
            >>> about.columns([Channel("temperature", -40.0, 85.0)])
            Traceback (most recent call last):
                ...
            ValueError: it was trained on the channel co (double), which the schema does not declare
        """
        declared = {(channel.name, channel.kind): at for at, channel in enumerate(channels)}
        for channel in self.channels:
            if (channel.name, channel.kind) not in declared:
                raise ValueError(
                    f"it was trained on the channel {channel.name} ({channel.kind}), "
                    "which the schema does not declare"
                )
        return [declared[channel.name, channel.kind] for channel in self.channels]


def example_about(channels: Sequence[ModelChannel]) -> About:
    """Return a description for examples and tests."""
    return About(
        channels=tuple(channels),
        window=300,
        warm_up=60,
        trees=1,
        scales=(),
        threshold=0.6,
        alarm_rate=0.001,
        rows=0,
        held_out=0,
        devices=0,
        start="",
        end="",
        seed=0,
        versions={},
    )


class Model:
    """A small forest for each channel and one for all together, in onnxruntime on one thread.

    One forest over all features would hardly notice one channel that is far off: a tree asks for a
    feature at random, and most of them are as usual. So each channel has a forest over its own
    features, and the joint one is for combinations.

    Guarantee: a row's score does not depend on the rows beside it. Branches compare float32 with
    float32, and the lengths of paths are multiples of a power of two whose sum no float32 rounds,
    so that it is the same in whatever order onnxruntime adds them up.

    Args:
        content: Of the file.

    Raises:
        ValueError: It is no model of `eddyline train`, or one of another version.
        ModuleNotFoundError: onnxruntime is not installed; the message says how.
    """

    def __init__(self, content: bytes) -> None:
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised and told in our words
        try:
            self._session = runtime.InferenceSession(
                content, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own classes, one a kind of damage
            raise ValueError(f"no ONNX model: {str(error)[:200]}") from error
        self.about = _about(self._session.get_modelmeta().custom_metadata_map)
        self._input = self._session.get_inputs()[0]
        if (width := self._input.shape[-1]) != len(self.about.channels) * len(SIGNS):
            raise ValueError(f"its forest takes {width} features, its description says otherwise")

    def paths(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean length of each row's paths in each part's trees, shape `[n, parts]`.

        The shorter, the more isolated: Liu, Ting and Zhou, Isolation Forest, ICDM 2008.

        Args:
            features: As `features_of` returns them; those that are NaN are taken as usual.
        """
        if not len(features):
            return np.empty((0, parts_of(len(self.about.channels))))
        there = np.nan_to_num(features, nan=0.0)
        [total] = self._session.run(None, {self._input.name: there})
        return total.astype(np.float64) / self.about.trees

    def bits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how rare such short paths were in training, in bits, shape `[n, parts]`.

        Each part has its own scale, because a door that opens often has short paths all the time. A
        channel whose features are NaN has 0 bits.
        """
        paths = self.paths(features)
        bits = np.empty_like(paths)
        for part, scale in enumerate(self.about.scales):
            bits[:, part] = on_scale(paths[:, part], scale)
        unknown = np.isnan(features[:, :: len(SIGNS)])
        bits[:, : unknown.shape[1]][unknown] = 0.0
        return bits

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the score of each row, in bits: that of the part which finds it rarest."""
        return self.bits(features).max(axis=1, initial=0.0)


def parts_of(channels: int) -> int:
    """Return how many forests a model of so many channels has.

    Examples:
        >>> parts_of(1), parts_of(3)
        (1, 4)
    """
    return channels + 1 if channels > 1 else 1


def on_scale(paths: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return the bits of each mean path: linear between the scale's points and before the first.

    Examples:
        >>> on_scale(np.array([4.0, 5.5, 8.0, 11.0]), Scale((5.0, 6.0, 9.0), (9.0, 7.0, 0.0)))
        array([11.        ,  8.        ,  2.33333333,  0.        ])
    """
    at, bits = np.array(scale.paths), np.array(scale.bits)
    if len(at) < 2:  # nothing in training was rarer than anything else
        return np.zeros_like(paths)
    slope = np.diff(bits) / np.diff(at)
    place = np.clip(np.searchsorted(at, paths, side="right") - 1, 0, len(slope) - 1)
    return np.maximum(bits[place] + (paths - at[place]) * slope[place], 0.0)


def _about(found: dict[str, str]) -> About:
    if KEY not in found:
        raise ValueError("no model of `eddyline train`: it does not say what it was trained on")
    try:
        about = msgspec.json.decode(found[KEY], type=About)
    except msgspec.DecodeError as error:
        raise ValueError(f"its description is of another version: {error}") from error
    if (about.format, about.features) != (FORMAT, VERSION):
        raise ValueError(
            f"its format and features are of version {about.format} and {about.features}, "
            f"here they are {FORMAT} and {VERSION}: train it again"
        )
    return about


def digest_of(content: bytes) -> str:
    """Return what tells one file's content from another's."""
    return hashlib.sha256(content).hexdigest()


def find_model(path: str) -> tuple[str, About]:
    """Read a model where it is named: its digest, and what it is.

    Raises:
        ValueError: As `Model`.
        OSError: It cannot be read.
    """
    content = read_model(path)
    digest = digest_of(content)
    return digest, _built(digest, content).about


@lru_cache(maxsize=8)
def load_model(path: str, digest: str) -> Model:
    """Return the model, read once a process.

    Raises:
        ValueError: The file has another content than the job was started with.
        OSError: It cannot be read.
    """
    if digest in _BUILT:
        return _BUILT[digest]
    content = read_model(path)
    if digest_of(content) != digest:
        raise ValueError(
            f"detector pretrained: model: {path} has changed since the job was started: "
            "start the job again to use it"
        )
    return _built(digest, content)


# By digest: what the start of a job has read already, its workers in this process need not.
_BUILT: dict[str, Model] = {}
MOST = 8


def _built(digest: str, content: bytes) -> Model:
    if digest not in _BUILT:
        while len(_BUILT) >= MOST:
            _BUILT.pop(next(iter(_BUILT)))
        _BUILT[digest] = Model(content)
    return _BUILT[digest]


def _onnxruntime() -> Any:
    try:
        return import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise ValueError(
            "it needs onnxruntime on this machine and on every worker: pip install 'eddyline[onnx]'"
        ) from error
