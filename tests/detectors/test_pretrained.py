"""The pre-trained detector and its file; scikit-learn is the oracle of the forests."""

import pickle
import shutil
import sys
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from eddyline.detectors.channel import Channel
from eddyline.detectors.pretrained import Pretrained
from eddyline.detectors.pretrained import model as model_file
from eddyline.detectors.pretrained.explain import ablation
from eddyline.detectors.pretrained.features import SIGNS
from eddyline.detectors.pretrained.fit import (
    fit_forests,
    mean_path,
    path_lengths,
    threshold_for,
)
from eddyline.detectors.pretrained.graph import Part, graph_of, not_above
from eddyline.detectors.pretrained.model import Model, ModelChannel, Scale, example_about, on_scale

GOLDEN = Path(__file__).with_name("golden") / "pretrained_v1.onnx"
CHANNELS = (
    Channel("temperature", -40.0, 85.0, "double", "°C"),
    Channel("humidity", 0.0, 100.0, "long", "%"),
    Channel("light", 0.0, 1.0, "boolean"),
)


@pytest.fixture(scope="module")
def golden():
    return Model(GOLDEN.read_bytes())


def rows(number, seed=0, width=9):
    return np.random.default_rng(seed).uniform(-1, 1, (number, width)).astype(np.float32)


@pytest.fixture(scope="module")
def forest():
    """scikit-learn's own forest, and the same one as our graph."""
    features = np.random.default_rng(1).normal(0, 0.3, (2000, 3)).astype(np.float32)
    sklearn = IsolationForest(n_estimators=40, random_state=3).fit(features)
    trees = [estimator.tree_ for estimator in sklearn.estimators_]
    about = msgspec.structs.replace(
        example_about([ModelChannel("temperature", "double")]),
        trees=40,
        scales=(Scale((0.0, 20.0), (20.0, 0.0)),),
    )
    part = Part(range(3), trees, [path_lengths(tree) for tree in trees])
    return sklearn, graph_of([part], 3, about)


def test_the_graph_is_scikit_learns_forest(forest):
    sklearn, ours = forest[0], Model(forest[1])
    features = rows(5000, width=3)
    own = np.exp2(-ours.paths(features)[:, 0] / mean_path(np.array([256]))[0])
    np.testing.assert_allclose(own, -sklearn.score_samples(features), rtol=1e-4)


def test_values_on_a_threshold_go_the_way_they_go_in_scikit_learn(forest):
    sklearn, ours = forest[0], Model(forest[1])
    tree = sklearn.estimators_[0].tree_
    splits = np.flatnonzero(tree.children_left >= 0)
    near = not_above(tree.threshold[splits])
    features = np.zeros((3 * len(splits), 3), np.float32)
    for step, towards in enumerate((-np.inf, None, np.inf)):
        value = near if towards is None else np.nextafter(near, np.float32(towards))
        place = np.arange(len(splits)) + step * len(splits)
        features[place, tree.feature[splits]] = value
    own = np.exp2(-ours.paths(features)[:, 0] / mean_path(np.array([256]))[0])
    np.testing.assert_allclose(own, -sklearn.score_samples(features), rtol=1e-4)


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 700), max_size=6).map(sorted), seed=st.integers(0, 99))
def test_a_rows_score_does_not_depend_on_the_rows_beside_it(golden, cuts, seed):
    features = rows(700, seed)
    whole = golden.bits(features)
    parts = [golden.bits(part) for part in np.split(features, cuts)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert golden.bits(features[123:124]).tobytes() == whole[123].tobytes()


def test_the_sums_of_paths_are_exact(forest):
    """Else another order of adding, in another onnxruntime, would be another result."""
    [node] = onnx.load_from_string(forest[1]).graph.node
    attributes = {attribute.name: attribute for attribute in node.attribute}
    weights = np.array(attributes["target_weights"].floats)
    trees = np.array(attributes["target_treeids"].ints)
    largest = sum(weights[trees == tree].max() for tree in range(40))
    steps = weights / 2.0 ** np.ceil(np.log2(largest / 2**24))
    np.testing.assert_array_equal(steps, np.round(steps))


def test_a_channel_that_is_not_there_has_no_part_in_the_score(golden):
    features = rows(200)
    features[:, :3] = 0.97
    there = golden.bits(features)
    features[:, :3] = np.nan
    gone = golden.bits(features)
    assert (gone[:, 0] == 0).all()
    np.testing.assert_array_equal(gone[:, 1:3], there[:, 1:3])


def test_bits_say_how_rare_it_was_in_training():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 0.1, (20_000, 6)).astype(np.float32)
    about = msgspec.structs.replace(
        example_about([ModelChannel("a", "double"), ModelChannel("b", "double")]),
        trees=20, alarm_rate=0.01,
    )  # fmt: skip
    model = Model(fit_forests(features, features[:5000], about))
    bits = model.bits(rng.normal(0, 0.1, (50_000, 6)).astype(np.float32))
    for least in (2, 5, 8):
        share = (bits >= least).mean(axis=0)
        assert share == pytest.approx([2.0**-least] * 3, rel=0.5)
    far = np.zeros((1, 6), np.float32)
    far[0, 3] = 0.95
    assert model.bits(far)[0].argmax() == 1
    assert model.score(far)[0] > model.about.threshold + 1


def test_the_share_of_scores_that_reach_the_threshold_is_at_most_the_rate():
    scores = np.random.default_rng(0).integers(0, 50, 1000).astype(float)
    for rate in (0.0005, 0.01, 0.1, 0.5, 0.999):
        threshold = threshold_for(scores, rate)
        assert (scores >= threshold).mean() <= rate
        below = scores[scores < threshold]
        assert (scores >= below.max()).mean() > rate


def test_a_scale_goes_on_beyond_its_ends():
    scale = Scale((5.0, 6.0), (4.0, 0.0))
    assert on_scale(np.array([4.0, 5.5, 9.0]), scale).tolist() == [8.0, 2.0, 0.0]
    assert on_scale(np.array([1.0, 9.0]), Scale((5.0,), (0.0,))).tolist() == [0.0, 0.0]


def test_taking_out_a_channel_takes_its_bits(golden):
    features = np.zeros((1, 9), np.float32)
    features[0, 4] = 0.96  # the second channel's change
    lost = ablation(golden, features)
    assert lost.channel[0].argmax() == 1
    assert lost.sign[0, 1].argmax() == SIGNS.index("innovation")
    assert (lost.channel >= 0).all()


def saved(folder, **changes):
    model = onnx.load(GOLDEN)
    [about] = model.metadata_props
    about.value = msgspec.json.encode({**msgspec.json.decode(about.value), **changes}).decode()
    onnx.save(model, folder / "model.onnx")
    return str(folder / "model.onnx")


def test_the_golden_model_is_read_for_ever():
    detector = Pretrained(CHANNELS, str(GOLDEN))
    assert detector.about.trees == 20
    assert detector.thresholds == (detector.about.threshold,)
    assert Pretrained(CHANNELS, str(GOLDEN), threshold=9.0).thresholds == (9.0,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": 99}, "version 1 and 99, here they are 1 and 1: train it again"),
        ({"format": 2}, "version 2 and 1"),
        ({"trees": "many"}, "its description is of another version"),
        ({"channels": [{"name": "co", "kind": "double"}] * 3}, "the channel co .* not declare"),
        ({"channels": [{"name": "light", "kind": "boolean"}]}, "takes 9 features, its description"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_its_path(tmp_path, changes, words):
    path = saved(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"^detector pretrained: model: {path}: .*{words}"):
        Pretrained(CHANNELS, path)


@pytest.mark.parametrize("content", [b"", b"PAR1", pickle.dumps(object()), b"\0" * 1000])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no ONNX model|does not say what it was trained on"):
        Pretrained(CHANNELS, str(path))


def test_a_truncated_or_changed_model_is_refused_or_read_and_never_a_crash(tmp_path):
    content = GOLDEN.read_bytes()
    path = tmp_path / "model.onnx"
    for size in (10, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"^detector pretrained: model: "):
            Pretrained(CHANNELS, str(path))


def test_somebody_elses_model_is_refused(tmp_path):
    model = onnx.load(GOLDEN)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="it does not say what it was trained on"):
        Pretrained(CHANNELS, str(tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "the file is missing; `eddyline train` makes one"),
        ("none.onnx", "none.onnx: "),
        ("ftp://host/model.onnx", "'ftp' is no place for a model"),
    ],
)
def test_no_model_is_told(model, words):
    with pytest.raises(ValueError, match=f"^detector pretrained: model: .*{words}"):
        Pretrained(CHANNELS, model)


def test_a_channel_more_in_the_schema_plays_no_part_and_the_order_is_the_models():
    more = (Channel("co", 0.0, 1.0), CHANNELS[2], CHANNELS[0], CHANNELS[1])
    values = np.random.default_rng(0).normal(20, 1, (200, 3)).round(1)
    values[:, 1] = values[:, 1].round()
    values[:, 2] = values[:, 2] > 20
    wider = np.column_stack([np.arange(200) % 2, values[:, 2], values[:, 0], values[:, 1]])

    def score(channels, columns):
        detector = Pretrained(channels, str(GOLDEN), warm_up=20)
        device, time = np.zeros(200, np.int32), np.arange(200)
        return detector.observe(detector.new(1), device, time, columns)

    wanted, found = score(CHANNELS, values), score(more, wider)
    np.testing.assert_array_equal(found.score, wanted.score)
    assert repr(found.explanations) == repr(wanted.explanations)


def test_a_device_goes_on_with_a_newly_trained_model(tmp_path):
    old = Pretrained(CHANNELS, str(GOLDEN))
    new = Pretrained(CHANNELS, saved(tmp_path, seed=43))
    assert old.digest != new.digest
    state, back = old.new(1), new.new(1)
    values = np.random.default_rng(0).normal(20, 1, (100, 3))
    old.observe(state, np.zeros(100, np.int32), np.arange(100), values)
    new.decode(old.encode(state, 0), back, 0)
    assert back.tobytes() == state.tobytes()


def test_a_worker_refuses_a_file_that_changed_under_its_name(tmp_path, monkeypatch):
    path = shutil.copy(GOLDEN, tmp_path / "model.onnx")
    detector = Pretrained(CHANNELS, str(path))
    travelled = pickle.loads(pickle.dumps(detector))
    # The worker is another process: it has read nothing yet.
    monkeypatch.setattr(model_file, "_BUILT", {})
    model_file.load_model.cache_clear()
    saved(tmp_path, seed=43)
    with pytest.raises(ValueError, match="has changed since the job was started"):
        travelled.observe(travelled.new(1), [0], [0], np.ones((1, 3)))
    shutil.copy(GOLDEN, path)
    assert len(travelled.observe(travelled.new(1), [0], [0], np.ones((1, 3))).score) == 1
    model_file.load_model.cache_clear()


def test_without_onnxruntime_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "_BUILT", {})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"pip install 'eddyline\[onnx\]'"):
        Pretrained(CHANNELS, str(GOLDEN))


def test_a_process_keeps_a_few_models_only(tmp_path):
    for seed in range(model_file.MOST + 3):
        Pretrained(CHANNELS, saved(tmp_path, seed=1000 + seed))
    assert len(model_file._BUILT) == model_file.MOST
