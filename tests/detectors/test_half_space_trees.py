import csv
import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly, preprocessing

from eddyline.detectors.channel import Channel
from eddyline.detectors.forest import build_forest
from eddyline.detectors.half_space_trees import HalfSpaceTrees
from eddyline.detectors.protocol import RecordRefused, Verdict

GOLDEN = Path(__file__).with_name("golden") / "half_space_trees_v1.bin"
ROOM = (
    Channel("temperature", -40.0, 85.0, unit="°C"),
    Channel("humidity", 0.0, 100.0, unit="%"),
    Channel("pressure", 300.0, 1100.0, unit="hPa"),
)


def room(readings, seed=0, missing=0.0):
    """A random walk, a daily wave, and a pressure, each with its noise."""
    rng = np.random.default_rng(seed)
    values = np.empty((readings, 3))
    values[:, 0] = 20 + 0.03 * np.cumsum(rng.normal(size=readings)) + rng.normal(0, 0.2, readings)
    values[:, 1] = 50 + 10 * np.sin(np.arange(readings) / 300) + rng.normal(0, 1, readings)
    values[:, 2] = 1013 + 0.05 * np.cumsum(rng.normal(size=readings))
    absent = rng.random(values.shape) < missing
    # River builds its trees over what the first reading has.
    absent[0] = False
    values[absent] = np.nan
    return values


def river_scores(detector, values):
    """River's own answer: a missing channel is a key that is not there."""
    names = [channel.name for channel in detector.channels]
    shape = {
        "n_trees": detector.n_trees,
        "height": detector.height,
        "window_size": detector.window_size,
        "seed": detector.seed,
    }
    if detector.limits == "learned":
        river = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(**shape)
    else:
        limits = {channel.name: (channel.minimum, channel.maximum) for channel in detector.channels}
        river = anomaly.HalfSpaceTrees(**shape, limits=limits)
    scores = np.empty(len(values))
    for row, reading in enumerate(values.tolist()):
        x = {name: value for name, value in zip(names, reading, strict=True) if value == value}
        scores[row] = river.score_one(x)
        river.learn_one(x)
    return scores, river


def our_scores(detector, values):
    state = detector.new(1)
    readings = len(values)
    return detector.observe(state, np.zeros(readings), np.arange(readings), values), state


def assert_equal_to_river(detector, values):
    river, _ = river_scores(detector, values)
    scores, state = our_scores(detector, values)
    warming = np.arange(len(values)) < detector.window_size
    np.testing.assert_array_equal(scores.verdict == Verdict.WARM_UP, warming)
    assert np.isnan(scores.score[warming]).all()
    # Bit for bit; River's own first window is all 0.
    assert not river[warming].any()
    assert scores.score[~warming].tobytes() == river[~warming].tobytes()
    return state


@pytest.mark.many
@pytest.mark.parametrize("limits", ["channel", "learned"])
def test_twenty_thousand_readings_score_bit_equal_to_river(limits):
    assert_equal_to_river(HalfSpaceTrees(ROOM, limits=limits), room(20_000, missing=0.05))


VALUES = st.sampled_from([-40.0, 0.0, 20.0, 20.5, 21.0, 85.0]) | st.floats(-40, 85)


@settings(max_examples=60)
@given(
    channels=st.integers(1, 4),
    n_trees=st.integers(1, 4),
    height=st.integers(3, 7),
    window_size=st.integers(1, 30),
    seed=st.integers(0, 1000),
    limits=st.sampled_from(["channel", "learned"]),
    data=st.data(),
)
def test_any_stream_scores_bit_equal_to_river(
    channels, n_trees, height, window_size, seed, limits, data
):
    names = data.draw(st.permutations("abcd"))[:channels]
    detector = HalfSpaceTrees(
        tuple(Channel(name, -40.0 - n, 85.0 + 10 * n) for n, name in enumerate(names)),
        n_trees=n_trees,
        height=height,
        window_size=window_size,
        seed=seed,
        limits=limits,
    )
    first = data.draw(st.tuples(*[VALUES] * channels))
    row = st.tuples(*[VALUES | st.just(np.nan)] * channels)
    rest = data.draw(st.lists(row, max_size=80))
    assert_equal_to_river(detector, np.array([first, *rest]))


def test_values_that_lie_on_thresholds_score_bit_equal_to_river():
    detector = HalfSpaceTrees(ROOM[:1], n_trees=3, height=4, window_size=20)
    forest = build_forest(("temperature",), ((-40.0, 85.0),), n_trees=3, height=4, seed=42)
    on = np.random.default_rng(0).choice(forest.threshold[:, 1:].ravel(), 300)
    assert_equal_to_river(detector, on[:, None])


def test_a_channel_that_first_appears_after_the_first_window_scores_bit_equal_to_river():
    # River's scaler then scales by an empty range, and its NaN is below no threshold.
    values = room(400)
    detector = HalfSpaceTrees(ROOM, window_size=50, limits="learned")
    names = [channel.name for channel in ROOM]
    river = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(window_size=50, seed=42)
    river.learn_one(dict.fromkeys(names, 0.5))  # builds the trees over all channels
    river = preprocessing.MinMaxScaler() | emptied(river["HalfSpaceTrees"])
    values[:120, 1] = np.nan
    scores, _ = our_scores(detector, values)
    for row, reading in enumerate(values.tolist()):
        x = {name: value for name, value in zip(names, reading, strict=True) if value == value}
        score = river.score_one(x)
        river.learn_one(x)
        assert np.isnan(scores.score[row]) if row < 50 else scores.score[row] == score


def emptied(forest):
    """River's forest with its trees and nothing learned."""
    for nodes in forest._tree_nodes:
        for node in nodes:
            node.l_mass = node.r_mass = 0
    forest.counter = 0
    return forest


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_inner_masses_of_river_are_the_sums_of_their_leaves(missing):
    # What the state and the record rely on, also where features are missing.
    values = room(333, missing=missing)
    detector = HalfSpaceTrees(ROOM)
    _, river = river_scores(detector, values)
    _, state = our_scores(detector, values)
    for tree, root in enumerate(river.trees):
        level = [root]
        for depth in range(detector.height):
            for n, node in enumerate(level):
                left, right = node.children
                assert (node.l_mass, node.r_mass) == (
                    left.l_mass + right.l_mass,
                    left.r_mass + right.r_mass,
                )
                assert state["reference"][0, tree, 2**depth + n] == node.r_mass
            level = [child for node in level for child in node.children]
        assert [leaf.l_mass for leaf in level] == state["current"][0, tree].tolist()
        assert [leaf.r_mass for leaf in level] == state["reference"][0, tree, 256:].tolist()


def record_sizes(detector, values):
    """Bytes of a device's record, every 50 readings of a stream."""
    state = detector.new(1)
    for start in range(0, len(values), 50):
        rows = values[start : start + 50]
        detector.observe(state, np.zeros(len(rows)), np.arange(len(rows)), rows)
        yield len(detector.encode(state, 0))


@pytest.mark.parametrize("limits", ["channel", "learned"])
def test_a_record_takes_2_kb_where_river_pickles_170(limits):
    detector = HalfSpaceTrees(ROOM, limits=limits)
    values = room(3_000)
    assert max(record_sizes(detector, values)) <= 2_048
    _, river = river_scores(detector, values[:300])
    assert len(pickle.dumps(river)) > 150_000


def real_streams(data):
    """Readings by device, out of three of the real sets."""
    devices = {}
    with gzip.open(data / "env_telemetry" / "telemetry.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            reading = [row["temperature"], row["humidity"], row["smoke"] * 1000]
            devices.setdefault(row["device_id"], []).append(reading)
    for file, names in (
        ("asnx/base.csv.gz", ("temperature", "humidity")),
        ("eno_box/data.csv.gz", ("temperature", "humidity", "pressure")),
        ("intel_faults/mixed.csv.gz", ("temperature",)),
    ):
        with gzip.open(data / file, "rt") as lines:
            for row in csv.DictReader(lines):
                reading = [float(row[name]) for name in names]
                devices.setdefault(f"{file} {row['device_id']}", []).append(reading)
    return devices


@pytest.mark.many
def test_records_of_real_devices_take_2_kb(shared_data):
    for device, readings in real_streams(shared_data).items():
        values = np.array(readings)[:2_500]
        for limits in ("channel", "learned"):
            detector = HalfSpaceTrees(ROOM[: values.shape[1]], limits=limits)
            assert max(record_sizes(detector, values)) <= 2_048, device


def test_a_value_off_its_level_is_told_with_its_range():
    values = room(1_000)
    values[:, 0] = 19.3 + np.tile([-0.3, 0.3], 500)
    values[-1, 0] = -25.0
    detector = HalfSpaceTrees(ROOM[:1])
    told = our_scores(detector, values[:, :1])[0].explanations[999]
    assert told.sign == "level"
    assert (told.channels, told.shares, told.observed) == (("temperature",), (1.0,), -25.0)
    assert (told.expected_low, told.expected_high) == pytest.approx((18.2, 20.4), abs=0.05)
    assert told.sentence == (
        "temperature -25.0 °C, expected 18.2 to 20.4: 117 times its usual deviation"
    )


def test_two_usual_values_that_are_unusual_together_are_told_as_joint():
    # The two always move together, and once they do not.
    unit = (Channel("a", 0.0, 1.0), Channel("b", 0.0, 1.0))
    rng = np.random.default_rng(3)
    values = rng.normal(0.5, 0.1, (2_000, 1)) + rng.normal(0, 0.01, (2_000, 2))
    values[-1] = 0.4, 0.6
    told = our_scores(HalfSpaceTrees(unit, threshold=0.9), values)[0].explanations[1_999]
    assert told.sign == "joint"
    assert min(told.shares) > 0.3
    assert told.sentence == "a 0.40 with b 0.60: hardly seen in the 250 readings before"


@pytest.mark.parametrize("limits", ["channel", "learned"])
def test_the_shares_are_what_usual_values_would_change(limits):
    detector = HalfSpaceTrees(ROOM[:2], threshold=0.3, limits=limits)
    values = room(801)[:, :2]
    values[-1] = 15.0, 90.0
    _, state = our_scores(detector, values[:-1])

    def score(*reading):
        one = np.array([reading])
        return detector.observe(state.copy(), np.zeros(1), np.zeros(1), one).score[0]

    usual, seen = state["channel"]["mean"][0], values[-1]
    both, neither = score(*seen), score(*usual)
    first, second = score(seen[0], usual[1]), score(usual[0], seen[1])
    parts = np.array([both - second + first - neither, both - first + second - neither]).clip(0)
    told = detector.observe(state, np.zeros(1), np.zeros(1), values[-1:]).explanations[0]
    assert parts.min() > 0
    shares = dict(zip(told.channels, told.shares, strict=True))
    wanted = (parts / parts.sum()).tolist()
    assert [shares["temperature"], shares["humidity"]] == pytest.approx(wanted)


def test_a_score_at_the_threshold_is_an_anomaly():
    values = room(400)
    highest = np.nanmax(our_scores(HalfSpaceTrees(ROOM), values)[0].score)
    scores, _ = our_scores(HalfSpaceTrees(ROOM, threshold=float(highest)), values)
    assert (scores.verdict == Verdict.ANOMALY).sum() == (scores.score == highest).sum() > 0


def test_a_long_fault_does_not_soon_become_the_usual():
    values = 20 + np.tile([-0.3, 0.3], 200)[:, None]
    values[300:] = 60.0
    _, state = our_scores(HalfSpaceTrees(ROOM[:1]), values)
    # A plain mean would have gone to 30.
    assert state["channel"]["mean"][0, 0] < 21.0


def test_the_first_value_of_a_channel_is_told_so():
    values = room(600)
    values[:-1, 0] = np.nan
    values[-1, 0] = -39.0
    detector = HalfSpaceTrees((*ROOM[:1], Channel("co", 0.0, 0.001)), threshold=0.0)
    values[:, 1] = 0.0
    told = our_scores(detector, values[:, :2])[0].explanations[599]
    assert told.sentence == "temperature -39.00 °C: the first value of this channel"


def test_a_missing_channel_has_no_share():
    values = room(600)
    values[-1] = -30.0, np.nan, 1013.0
    told = our_scores(HalfSpaceTrees(ROOM, threshold=0.0), values)[0].explanations[599]
    assert dict(zip(told.channels, told.shares, strict=True))["humidity"] == 0.0


def test_a_reading_without_any_value_is_told_so():
    values = room(300)
    values[-1] = np.nan
    told = our_scores(HalfSpaceTrees(ROOM, threshold=0.0), values)[0].explanations[299]
    assert told.sentence == "no channel has a value"
    assert np.isnan(told.observed)


@pytest.mark.parametrize(
    "setting",
    [
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"n_trees": 0},
        {"n_trees": 2.5},
        {"height": 2},
        {"height": 16},
        {"window_size": 0},
        {"window_size": 65_536},
        {"seed": "42"},
        {"limits": "given"},
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=rf"half_space_trees: {name}"):
        HalfSpaceTrees(ROOM, **setting)
    with pytest.raises(ValueError, match="half_space_trees: channels"):
        HalfSpaceTrees(())


def test_other_limits_of_a_channel_are_other_trees_unless_they_are_learned():
    wider = (Channel("temperature", -40.0, 125.0), *ROOM[1:])
    for limits, refused in (("channel", True), ("learned", False)):
        detector = HalfSpaceTrees(ROOM, limits=limits)
        state = our_scores(detector, room(300))[1]
        other = HalfSpaceTrees(wider, limits=limits)
        if refused:
            with pytest.raises(RecordRefused, match="settings"):
                other.decode(detector.encode(state, 0), other.new(1), 0)
        else:
            other.decode(detector.encode(state, 0), other.new(1), 0)


def test_the_golden_record_of_version_1_decodes():
    detector = HalfSpaceTrees(ROOM)
    state = detector.new(1)
    detector.decode(GOLDEN.read_bytes(), state, 0)
    assert (state["windows"][0], state["filled"][0]) == (2, 100)
    assert state["channel"]["seen"][0].tolist() == [600, 599, 600]
    mean = state["channel"]["mean"][0].tolist()
    assert mean == [19.870573009817726, 57.06452012487696, 1012.3567689088843]
    # The scores of three readings more, as they were when the record was written.
    after = np.array([[21.0, 52.0, 1013.0], [21.0, np.nan, 1013.0], [60.0, 5.0, 900.0]])
    scores = detector.observe(state, np.zeros(3), np.arange(3), after)
    assert scores.score.tolist() == [0.2487358121330724, 0.09473502935420741, 0.9941291585127201]
