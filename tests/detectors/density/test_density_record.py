"""The device record: small, golden, and what a change of settings does to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eddyline.detectors.channel import Channel
from eddyline.detectors.density import Density
from eddyline.detectors.density.mass import packed_size
from eddyline.detectors.density.state import DEVICE
from eddyline.detectors.protocol import RecordRefused, Verdict

GOLDEN = Path(__file__).parents[1] / "golden" / "density_v2.bin"
GOLDEN_1 = GOLDEN.with_name("density_v1.bin")
GOLDEN_CHANNELS = (Channel("temperature", -40, 85), Channel("door", 0, 1, kind="boolean"))


def golden_rows():
    """Readings made of integers only: the same on every machine."""
    n = np.arange(2000)
    values = np.stack([20 + (n * n % 31) / 4 + (n % 288 > 200), (n // 50) % 3 == 0], axis=1)
    return np.zeros(2000, np.int32), n * 300_000_000, values.astype(float)


def learned(detector, rows=3000, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    state = detector.new(1)
    values = np.round(rng.normal(0, scale, (rows, len(detector.channels))), 3)
    detector.observe(state, np.zeros(rows, np.int32), np.arange(rows) * 60_000_000, values)
    return state


def test_a_golden_record_decodes_and_goes_on():
    detector = Density(GOLDEN_CHANNELS)
    record = GOLDEN.read_bytes()
    state, again = detector.new(1), detector.new(1)
    detector.decode(record, state, 0)
    assert detector.encode(state, 0) == record
    detector.observe(again, *golden_rows())
    assert_go_on_alike(detector, state, again)


def assert_go_on_alike(detector, state, again, within=1e-3):
    next_time = np.array([2000 * 300_000_000])
    for value in (24.25, 99.0):
        reading = np.zeros(1, np.int32), next_time, np.array([[value, 1.0]])
        expected = detector.observe(again.copy(), *reading)
        found = detector.observe(state.copy(), *reading)
        assert found.score[0] == pytest.approx(expected.score[0], abs=within)
        assert found.verdict[0] == expected.verdict[0]


def test_a_golden_record_of_the_first_recipe_is_read_and_goes_on():
    detector = Density(GOLDEN_CHANNELS)
    state, again = detector.new(2), detector.new(1)
    detector.decode(GOLDEN_1.read_bytes(), state, 1)
    assert state[0].tobytes() == detector.new(1).tobytes()
    assert state["device"].view(DEVICE)["seen"][1] == 2000
    assert state["mass"][1].sum() > 2000
    detector.observe(again, *golden_rows())
    assert_go_on_alike(detector, state[1:], again, within=2.0)
    back = detector.new(1)
    detector.decode(detector.encode(state, 1), back, 0)
    assert back[0].tobytes() == state[1].tobytes()


def test_a_record_of_the_first_recipe_keeps_the_channels_in_common():
    detector = Density((GOLDEN_CHANNELS[1], Channel("co", 0, 1)))
    state = detector.new(1)
    detector.decode(GOLDEN_1.read_bytes(), state, 0)
    assert state["channel"]["seen"].tolist() == [[2000, 0]]
    assert state["device"].view(DEVICE)["learned"].tolist() == [[0, 0, 0]]


def test_a_record_of_the_first_recipe_with_another_forest_is_refused():
    detector = Density(GOLDEN_CHANNELS, seed=7)
    state = learned(detector)
    with pytest.raises(RecordRefused) as refusal:
        detector.decode(GOLDEN_1.read_bytes(), state, 0)
    assert refusal.value.reason == "settings"
    assert state.tobytes() == detector.new(1).tobytes()


@pytest.mark.parametrize("history", ["noise", "walk", "heavy", "switch", "days"])
def test_a_record_of_three_channels_stays_below_2_kb_after_any_history(history, detector):
    rows = 40_000
    rng = np.random.default_rng(1)
    values = {
        "noise": lambda: rng.normal(size=(rows, 3)),
        "walk": lambda: np.cumsum(rng.normal(size=(rows, 3)), axis=0),
        "heavy": lambda: rng.standard_cauchy((rows, 3)),
        "switch": lambda: rng.normal(size=(rows, 3)) * 10.0 ** rng.integers(-3, 4, (rows, 1)),
        "days": lambda: np.sin(np.arange(rows) / 229)[:, None] + rng.normal(0, 0.2, (rows, 3)),
    }[history]()
    state = detector.new(1)
    for first in range(0, rows, 1000):
        part = slice(first, first + 1000)
        time = np.arange(first, first + 1000) * 60_000_000
        detector.observe(state, np.zeros(1000, np.int32), time, values[part])
        assert len(detector.encode(state, 0)) <= 2048
    masses = state["mass"][0]
    sizes = [packed_size(masses[forest]) for forest in range(3)]
    plain = np.zeros_like(state)
    plain["device"], plain["channel"] = state["device"], state["channel"]
    empty = len(detector.encode(plain, 0)) - 30
    assert len(detector.encode(state, 0)) == empty + sum(sizes)


def test_a_decoded_device_goes_on_to_the_last_bit(detector):
    state = learned(detector)
    copy = detector.new(3)
    detector.decode(detector.encode(state, 0), copy, 2)
    assert copy[2].tobytes() == state[0].tobytes()
    records = detector.encode_many(copy)
    others = detector.new(3)
    assert detector.decode_many(records, others) == {}
    assert others.tobytes() == copy.tobytes()


def test_thresholds_keep_what_was_learned(detector):
    record = detector.encode(learned(detector), 0)
    other = replace(
        detector,
        event_threshold=5.0,
        condition_threshold=12.0,
        persistence_threshold=50.0,
        warm_up=900,
    )
    state = other.new(1)
    other.decode(record, state, 0)
    assert other.encode(state, 0) == record


@pytest.mark.parametrize("change", [{"height": 5}, {"seed": 7}, {"n_trees": 20}])
def test_another_forest_refuses_the_record_and_starts_a_warm_up(change, detector):
    record = detector.encode(learned(detector), 0)
    other = replace(detector, **change)
    state = learned(other)
    with pytest.raises(RecordRefused) as refusal:
        other.decode(record, state, 0)
    assert refusal.value.reason == "settings"
    assert state.tobytes() == other.new(1).tobytes()


def test_an_added_channel_warms_up_and_the_others_keep_what_they_learned(detector):
    rng = np.random.default_rng(0)
    record = detector.encode(learned(detector, scale=1.0), 0)
    more = Density((Channel("co", 0, 1), *detector.channels))
    state = more.new(1)
    more.decode(record, state, 0)
    device = state["device"].view(DEVICE)
    assert state["channel"]["seen"].tolist() == [[0, 3000, 3000, 3000]]
    assert device["seen"].tolist() == [3000]
    assert device["learned"].tolist() == [[0, 0, 0]]
    rows = 1200
    values = np.round(rng.normal(0, 1.0, (rows, 4)), 3)
    values[200, 2] = 900.0
    scores = more.observe(
        state, np.zeros(rows, np.int32), (3000 + np.arange(rows)) * 60_000_000, values
    )
    assert scores.verdict[0] == Verdict.NORMAL
    assert scores.verdict[200] == Verdict.ANOMALY
    assert scores.explanations[200].channels[0] == detector.channels[1].name
    assert np.mean(scores.verdict[:200] == Verdict.ANOMALY) == 0.0


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0), (1,)])
def test_channels_are_found_by_name_where_they_are_moved_or_removed(order, detector):
    state = learned(detector)
    other = Density(tuple(detector.channels[c] for c in order))
    moved = other.new(1)
    other.decode(detector.encode(state, 0), moved, 0)
    np.testing.assert_array_equal(moved["channel"][0], state["channel"][0][list(order)])
    assert moved["device"].view(DEVICE)["learned"].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda record: record[:100], "truncated"),
        (lambda _: b"", "truncated"),
        (lambda record: b"PK" + record[2:], "foreign"),
        (lambda record: record[:-1] + bytes([record[-1] ^ 1]), "corrupt"),
        (lambda record: record[:4] + b"\x63" + record[5:], "version"),
    ],
)
def test_a_spoiled_record_is_refused_with_its_reason(spoil, reason, detector):
    record = detector.encode(learned(detector), 0)
    state = learned(detector, seed=1)
    with pytest.raises(RecordRefused) as refusal:
        detector.decode(spoil(record), state, 0)
    assert refusal.value.reason == reason
    assert state.tobytes() == detector.new(1).tobytes()
