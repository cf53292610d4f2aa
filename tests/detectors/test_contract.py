"""What every detector of the registry must hold, whatever it thinks of the readings."""

import itertools
import pickle
import sys
from dataclasses import FrozenInstanceError, dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eddyline.detectors.channel import Channel
from eddyline.detectors.density.state import DEVICE
from eddyline.detectors.endpoint import Endpoint
from eddyline.detectors.protocol import RecordRefused, Verdict
from eddyline.detectors.registry import DETECTORS, make_detector, setting_names

CHANNELS = (
    Channel("temperature", -40.0, 85.0, "double", "°C"),
    Channel("humidity", 0.0, 100.0, "long", "%"),
    Channel("light", 0.0, 1.0, "boolean"),
)
# Small windows, so that a short stream leaves the warm-up and has anomalies; a detector not named
# here takes part with its defaults.
SMALL = {
    "density": {"warm_up": 101},
    "half_space_trees": {"window_size": 40, "height": 6, "threshold": 0.8},
    "moving_average": {"window": 20},
    "endpoint": {"warm_up": 20},
}
# What a detector cannot be made without.
NEEDED = {"pretrained": {"model": str(Path(__file__).with_name("golden") / "pretrained_v1.onnx")}}
SMALL["pretrained"] = {"warm_up": 20, "threshold": 7.0, **NEEDED["pretrained"]}
READINGS = 500
MICROSECONDS = 1_000_000
REASONS = {"truncated", "foreign", "version", "detector", "settings", "channels", "corrupt"}

VARIANTS = [(name, SMALL.get(name, {})) for name in DETECTORS]
VARIANTS.append(("half_space_trees", {**SMALL["half_space_trees"], "limits": "learned"}))


@dataclass(frozen=True)
class AnsweredEndpoint(Endpoint):
    """With an endpoint that answers how far, in tens of degrees, the temperature is from 20."""

    def observe(self, state, device, event_time, values, thresholds=None):
        values = np.asarray(values)
        if values.ndim == 2 and values.shape[1] == len(CHANNELS):
            values = np.column_stack([np.abs(values[:, 0] - 20) / 10, values])
        return super().observe(state, device, event_time, values, thresholds)


def make(name, settings):
    if name == "endpoint":
        return AnsweredEndpoint(CHANNELS, **settings)
    return make_detector(name, CHANNELS, **settings)


@pytest.fixture(
    params=VARIANTS,
    ids=lambda variant: "-".join(
        [variant[0], *(str(v) for k, v in variant[1].items() if k != "model")]
    ),
)
def detector(request):
    return make(*request.param)


def stream(seed=0, readings=READINGS, devices=2, missing=0.05):
    """Rows of interleaved devices: a wave with spikes, whole numbers, a door; some missing."""
    rng = np.random.default_rng(seed)
    device = rng.permutation(np.arange(readings, dtype=np.int32) % devices)
    event_time = np.cumsum(rng.integers(1, 20, readings)) * MICROSECONDS
    values = np.empty((readings, 3))
    values[:, 0] = 20 + 3 * np.sin(np.arange(readings) / 80) + rng.normal(0, 0.2, readings).round(1)
    values[rng.random(readings) < 0.01, 0] = 70.0
    values[:, 1] = np.abs(np.cumsum(rng.integers(-1, 2, readings)) + 50) % 100
    values[:, 2] = rng.random(readings) < 0.3
    values[rng.random(values.shape) < missing] = np.nan
    return device, event_time, values


def assert_same(found, wanted):
    np.testing.assert_array_equal(found.score, wanted.score)
    np.testing.assert_array_equal(found.verdict, wanted.verdict)
    np.testing.assert_array_equal(found.alarms, wanted.alarms)
    # By their text, because NaN is not equal to itself.
    assert repr(found.explanations) == repr(wanted.explanations)
    assert found.extras.keys() == wanted.extras.keys()
    for name, extra in wanted.extras.items():
        np.testing.assert_array_equal(found.extras[name], extra)


def joined(parts):
    """The scores of consecutive calls, as one."""
    starts = np.cumsum([0, *(len(part.score) for part in parts)])
    return parts[0]._replace(
        score=np.concatenate([part.score for part in parts]),
        verdict=np.concatenate([part.verdict for part in parts]),
        alarms=np.concatenate([part.alarms for part in parts]),
        explanations={
            row + int(start): told
            for part, start in zip(parts, starts, strict=False)
            for row, told in part.explanations.items()
        },
        extras={
            name: np.concatenate([part.extras[name] for part in parts]) for name in parts[0].extras
        },
    )


def observe_split(detector, state, rows, cuts):
    edges = [0, *cuts, len(rows[0])]
    return joined(
        [
            detector.observe(state, *(column[start:end] for column in rows))
            for start, end in itertools.pairwise(edges)
        ]
    )


PROPERTY = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(
    seed=st.integers(0, 2**32 - 1),
    missing=st.sampled_from([0.0, 0.1, 0.9]),
    cuts=st.lists(st.integers(0, READINGS), max_size=8).map(sorted),
)
def test_any_split_of_the_rows_is_the_same_as_one_batch(detector, seed, missing, cuts):
    rows = stream(seed, missing=missing)
    whole, split = detector.new(2), detector.new(2)
    wanted = detector.observe(whole, *rows)
    assert_same(observe_split(detector, split, rows, cuts), wanted)
    assert split.tobytes() == whole.tobytes()


def test_one_row_at_a_time_is_the_same_as_one_batch(detector):
    rows = stream()
    whole, split = detector.new(2), detector.new(2)
    wanted = detector.observe(whole, *rows)
    assert set(wanted.verdict) >= {Verdict.WARM_UP, Verdict.NORMAL, Verdict.ANOMALY}
    assert_same(observe_split(detector, split, rows, range(1, READINGS)), wanted)
    assert split.tobytes() == whole.tobytes()


@PROPERTY
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, READINGS))
def test_a_model_read_back_from_its_record_goes_on_bit_equal(detector, seed, cut):
    rows = stream(seed)
    straight, moved = detector.new(2), detector.new(3)
    before = detector.observe(straight, *(column[:cut] for column in rows))
    # Into another fleet, other rows, over other devices' models.
    other = stream(seed + 1)
    detector.observe(moved, other[0] + 1, *other[1:])
    for row in (0, 1):
        detector.decode(detector.encode(straight, row), moved, 2 - row)
    assert detector.encode(moved, 2) == detector.encode(straight, 0)
    wanted = detector.observe(straight, *(column[cut:] for column in rows))
    assert len(before.score) == cut
    found = detector.observe(moved, 2 - rows[0][cut:], *(column[cut:] for column in rows[1:]))
    assert_same(found, wanted)
    assert moved[[2, 1]].tobytes() == straight.tobytes()


def test_many_records_are_the_same_as_each(detector):
    state, back = detector.new(3), detector.new(3)
    detector.observe(state, *stream(devices=3))
    records = detector.encode_many(state)
    assert records == [detector.encode(state, row) for row in range(3)]
    assert detector.encode_many(state, (2, 0)) == [records[2], records[0]]
    assert detector.decode_many(records, back) == {}
    assert back.tobytes() == state.tobytes()
    refused = detector.decode_many([records[1][:-1], records[0]], back, (2, 1))
    assert {place: refusal.reason for place, refusal in refused.items()} == {0: "truncated"}
    assert back[2].tobytes() == detector.new(1).tobytes()
    assert back[1].tobytes() == state[0].tobytes()


def assert_refused(detector, record, reasons):
    state = detector.new(2)
    detector.observe(state, *stream(readings=60))
    other = state[0].tobytes()
    with pytest.raises(RecordRefused) as refused:
        detector.decode(record, state, 1)
    assert refused.value.reason in reasons
    assert state[1].tobytes() == detector.new(1).tobytes()
    assert state[0].tobytes() == other


@PROPERTY
@given(data=st.data())
def test_a_damaged_record_is_refused_and_leaves_a_fresh_row(detector, data):
    state = detector.new(2)
    detector.observe(state, *stream())
    record = detector.encode(state, 0)
    cut = data.draw(st.integers(0, len(record) - 1))
    assert_refused(detector, record[:cut], {"truncated"})
    at, bit = data.draw(st.integers(0, len(record) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(record)
    flipped[at] ^= 1 << bit
    assert_refused(detector, bytes(flipped), REASONS)
    assert_refused(detector, record + b"\0", {"corrupt"})
    assert_refused(detector, data.draw(st.binary(max_size=300)), REASONS)


def test_a_record_of_another_detector_is_refused(detector):
    names = [name for name in DETECTORS if name != detector.name]
    for name in names:
        foreign = make(name, NEEDED.get(name, {}))
        assert_refused(detector, foreign.encode(foreign.new(1), 0), {"detector"})


def model_of_another_window(path, folder):
    model = onnx.load(path)
    [about] = model.metadata_props
    told = msgspec.json.decode(about.value)
    about.value = msgspec.json.encode({**told, "window": told["window"] + 1}).decode()
    onnx.save(model, folder / "other.onnx")
    return str(folder / "other.onnx")


def test_a_threshold_keeps_the_model_and_what_it_depends_on_does_not(detector, tmp_path):
    state = detector.new(2)
    detector.observe(state, *stream())
    record = detector.encode(state, 0)
    kept, re_learned = [], []
    for name in setting_names(detector.name):
        value = getattr(detector, name)
        if name == "limits":
            other = {"channel": "learned", "learned": "channel"}[value]
        elif name == "model":
            other = model_of_another_window(value, tmp_path)
        else:
            other = value * 0.99 if isinstance(value, float) else value - 1
        changed = replace(detector, **{name: other})
        back = changed.new(1)
        refused = changed.decode_many([record], back)
        if refused:
            assert refused[0].reason == "settings"
            re_learned.append(name)
        else:
            assert changed.encode(back, 0) == record
            kept.append(name)
    assert all("threshold" in name or name == "warm_up" for name in kept)
    assert kept
    assert re_learned


def test_a_score_is_nan_exactly_where_the_detector_is_not_ready(detector):
    scores = detector.observe(detector.new(2), *stream(missing=0.5))
    not_ready = np.isin(scores.verdict, [Verdict.WARM_UP, Verdict.UNSCORED])
    np.testing.assert_array_equal(np.isnan(scores.score), not_ready)
    assert np.isfinite(scores.score[~not_ready]).all()
    assert scores.verdict[0] == Verdict.WARM_UP
    assert not np.isin(scores.verdict, [Verdict.LATE]).any()
    assert scores.verdict.dtype == np.uint8


def test_alarms_are_of_its_kinds_and_there_exactly_where_the_verdict_is_anomaly(detector):
    scores = detector.observe(detector.new(2), *stream())
    assert len(detector.kinds) == len(detector.thresholds) <= 8
    assert set(detector.kinds) <= {"event", "condition"}
    assert scores.alarms.dtype == np.uint8
    assert scores.alarms.max() < 1 << len(detector.kinds)
    np.testing.assert_array_equal(scores.alarms > 0, scores.verdict == Verdict.ANOMALY)
    assert scores.alarms.any()


def learned(state):
    """A fleet's bytes without what says that an alarm is on: that is a verdict that lasts."""
    copy = state.copy()
    if "device" in (copy.dtype.names or ()):
        device = copy["device"].view(DEVICE)
        for name in ("on", "calm", "sign", "named"):
            device[name] = 0
    return copy.tobytes()


def test_thresholds_change_verdicts_and_nothing_that_is_learned(detector):
    rows = stream(readings=800)
    own, loose, never = detector.new(2), detector.new(2), detector.new(2)
    kinds = len(detector.kinds)
    wanted = detector.observe(own, *rows)
    same = detector.observe(detector.new(2), *rows, np.full((2, kinds), np.nan))
    assert_same(same, wanted)
    # One device by device: the first is told more, the second as before.
    thresholds = np.tile(detector.thresholds, (2, 1))
    thresholds[0] *= 0.5
    more = detector.observe(loose, *rows, thresholds)
    second = rows[0] == 1
    np.testing.assert_array_equal(more.alarms[second], wanted.alarms[second])
    assert (more.alarms[~second] > 0).sum() > (wanted.alarms[~second] > 0).sum()
    none = detector.observe(never, *rows, np.full((2, kinds), np.inf))
    assert not none.alarms.any()
    assert not none.explanations
    assert learned(own) == learned(loose) == learned(never)
    for name, extra in wanted.extras.items():
        if name != "alarm":
            np.testing.assert_array_equal(more.extras[name], extra)


def test_one_kind_alone_can_be_told_never_to_alarm(detector):
    rows = stream()
    wanted = detector.observe(detector.new(2), *rows)
    for kind in range(len(detector.kinds)):
        thresholds = np.full((2, len(detector.kinds)), np.nan)
        thresholds[:, kind] = np.inf
        found = detector.observe(detector.new(2), *rows, thresholds)
        np.testing.assert_array_equal(found.alarms, wanted.alarms & ~np.uint8(1 << kind))


def test_thresholds_of_another_fleet_are_an_error(detector):
    with pytest.raises(ValueError, match=r"^thresholds: shape"):
        detector.observe(detector.new(2), *stream(), np.zeros((3, len(detector.kinds))))


def new_regime(rows, start):
    """A quiet day of one device that from `start` on stands elsewhere, and stays there."""
    rng = np.random.default_rng(1)
    values = np.empty((rows, 3))
    values[:, 0] = 20 + np.sin(np.arange(rows) / 40) + rng.normal(0, 0.2, rows).round(1)
    values[:, 1] = 50 + rng.integers(-2, 3, rows)
    values[:, 2] = rng.random(rows) < 0.3
    values[start:, 0] += 25.0
    return np.zeros(rows, np.int32), np.arange(rows) * 60 * MICROSECONDS, values


# What an endpoint says is not ours to end.
@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "endpoint"])
def test_a_rebaseline_ends_the_alarm_of_a_device_whose_new_regime_stays(name):
    settings = {"limits": "learned", "threshold": 0.98} if name == "half_space_trees" else {}
    detector = make(name, settings or NEEDED.get(name, {}))
    # The moving average takes a step for normal after some readings anyway.
    start, told = 1000, 1001 if name == "moving_average" else 1040
    rows = new_regime(1400, start)
    state = detector.new(2)
    before = detector.observe(state, *(column[:told] for column in rows))
    assert (before.verdict[start:] == Verdict.ANOMALY).any()
    untold = state.copy()
    detector.rebaseline(state, 0)
    rest = [column[told:] for column in rows]
    after, without = detector.observe(state, *rest), detector.observe(untold, *rest)
    assert (after.verdict == Verdict.ANOMALY).mean() < 0.01
    assert after.verdict[0] == Verdict.NORMAL
    if "condition" in detector.kinds:
        assert (without.verdict == Verdict.ANOMALY).sum() > 300
    assert state[1].tobytes() == detector.new(1).tobytes()


def test_a_device_without_readings_is_rebaselined_to_nothing(detector):
    state = detector.new(2)
    detector.rebaseline(state, 1)
    assert state.tobytes() == detector.new(2).tobytes()
    with pytest.raises(IndexError):
        detector.rebaseline(state, 2)


def test_a_rebaselined_model_is_read_back_bit_equal(detector):
    rows = stream()
    state, back = detector.new(2), detector.new(2)
    detector.observe(state, *rows)
    detector.rebaseline(state, 0)
    assert detector.decode_many(detector.encode_many(state), back) == {}
    assert back.tobytes() == state.tobytes()


def test_exactly_the_anomalies_are_explained(detector):
    rows = stream()
    scores = detector.observe(detector.new(2), *rows)
    anomalies = np.flatnonzero(scores.verdict == Verdict.ANOMALY)
    assert len(anomalies)
    assert list(scores.explanations) == anomalies.tolist()
    names = [channel.name for channel in CHANNELS]
    for row, told in scores.explanations.items():
        assert set(told.channels) <= set(names)
        assert len(told.channels) == len(told.shares)
        assert list(told.shares) == sorted(told.shares, reverse=True)
        assert sum(told.shares) == pytest.approx(1.0)
        assert told.sign
        first = rows[2][row, names.index(told.channels[0])]
        assert told.observed == first or (np.isnan(first) and np.isnan(told.observed))
        if not np.isnan(told.expected):
            assert told.expected_low <= told.expected <= told.expected_high
        if not np.isnan(told.observed):
            assert told.channels[0] in told.sentence


@pytest.mark.parametrize("name", DETECTORS)
def test_a_spike_is_told_by_the_channel_that_spiked(name):
    detector = make(name, SMALL.get(name, {}))
    device, event_time, values = stream(missing=0.0, devices=1)
    values[:, 0] = 20 + (np.arange(READINGS) % 7) / 10
    values[:, 1:] = 50.0, 0.0
    values[450, 0] = 70.0
    told = detector.observe(detector.new(1), device, event_time, values).explanations[450]
    assert told.channels[0] == "temperature"
    assert told.observed == 70.0
    assert told.expected == pytest.approx(20.3, abs=0.3)


def hostile_streams():
    """(what, event times, values) that no detector may stumble over."""
    n = 400
    steady = np.arange(n) * 10 * MICROSECONDS
    usual = stream(readings=n, devices=1)[2]
    none = np.full((n, 3), np.nan)
    late = usual.copy()
    late[: n // 2, 1] = np.nan
    gone = usual.copy()
    gone[n // 2 :, 0] = np.nan
    limits = np.where(
        np.arange(n)[:, None] % 2,
        [channel.minimum for channel in CHANNELS],
        [channel.maximum for channel in CHANNELS],
    )
    broken = usual.copy()
    broken[::3] = np.nan
    jumps = np.cumsum(np.where(np.arange(n) % 50 == 0, 10**15, 1))
    return {
        "nothing but missing values": (steady, none),
        "every third row missing": (steady, broken),
        "a channel that appears later": (steady, late),
        "a channel that is gone for ever": (steady, gone),
        "constant": (steady, np.tile([20.0, 5.0, 1.0], (n, 1))),
        "zero": (steady, np.zeros((n, 3))),
        "minus zero": (steady, -np.zeros((n, 3))),
        "constant, then another constant": (steady, np.repeat([[1.0, 0, 0], [2, 9, 1]], n // 2, 0)),
        "from limit to limit": (steady, limits),
        "tiny": (steady, usual * 1e-300),
        "huge": (steady, usual * 1e150),
        "jumps of 30 years": (jumps, usual),
        "all at one time": (np.zeros(n), usual),
        "before the epoch": (steady - 10**15, usual),
    }


@pytest.mark.parametrize("what", hostile_streams())
def test_no_stream_makes_it_fail(detector, what):
    event_time, values = hostile_streams()[what]
    state = detector.new(1)
    scores = detector.observe(state, np.zeros(len(values), np.int32), event_time, values)
    not_ready = np.isin(scores.verdict, [Verdict.WARM_UP, Verdict.UNSCORED])
    assert np.isfinite(scores.score[~not_ready]).all()
    back = detector.new(1)
    detector.decode(detector.encode(state, 0), back, 0)
    assert back.tobytes() == state.tobytes()


def test_devices_do_not_touch_each_other(detector):
    device, event_time, values = stream(devices=3)
    together = detector.new(4)
    wanted = detector.observe(together, device, event_time, values)
    for number in range(3):
        own = device == number
        alone = detector.new(1)
        found = detector.observe(alone, np.zeros(own.sum()), event_time[own], values[own])
        np.testing.assert_array_equal(found.score, wanted.score[own])
        np.testing.assert_array_equal(found.verdict, wanted.verdict[own])
        assert repr(list(found.explanations.values())) == repr(
            [told for row, told in wanted.explanations.items() if own[row]]
        )
        assert alone.tobytes() == together[number].tobytes()
    assert together[3].tobytes() == detector.new(1).tobytes()


def test_new_models_are_fresh_rows_of_a_little_endian_array(detector):
    state = detector.new(3)
    assert state.shape == (3,)
    assert state.dtype.names
    assert state.dtype.newbyteorder("<") == state.dtype
    detector.observe(state, *stream())
    assert state[2].tobytes() == detector.new(1).tobytes() != state[0].tobytes()
    assert len(detector.new(0)) == 0


def test_no_rows_are_an_answer_too(detector):
    scores = detector.observe(detector.new(1), np.empty(0), np.empty(0), np.empty((0, 3)))
    assert len(scores.score) == len(scores.verdict) == 0
    assert scores.explanations == {}


def test_rows_may_be_read_only_and_strided(detector):
    rows = stream()
    wanted = detector.observe(detector.new(2), *rows)
    strided = (np.repeat(rows[0], 2)[::2], np.repeat(rows[1], 2)[::2], np.asfortranarray(rows[2]))
    for column in strided:
        column.setflags(write=False)
    assert_same(detector.observe(detector.new(2), *strided), wanted)


@pytest.mark.parametrize(
    "rows",
    [
        ([2], [0], [[0.0, 0.0, 0.0]]),
        ([-1], [0], [[0.0, 0.0, 0.0]]),
        ([0, 0], [0], [[0.0, 0.0, 0.0]]),
        ([0], [0], [[0.0, 0.0]]),
        ([0], [0], [0.0, 0.0, 0.0]),
    ],
)
def test_rows_that_do_not_fit_the_fleet_are_an_error(detector, rows):
    with pytest.raises(ValueError, match=r"^(device|event_time|values): "):
        detector.observe(detector.new(2), *map(np.array, rows))


def test_a_detector_is_its_settings(detector):
    copy = pickle.loads(pickle.dumps(detector))
    assert copy == detector
    assert hash(copy) == hash(detector)
    # Whatever it keeps beside them must not travel to a worker.
    detector.observe(detector.new(2), *stream())
    assert pickle.dumps(detector) == pickle.dumps(copy)
    with pytest.raises(FrozenInstanceError):
        detector.channels = ()
    needed = NEEDED.get(detector.name, {})
    assert make_detector(detector.name, CHANNELS, **needed) == DETECTORS[detector.name](
        CHANNELS, **needed
    )


def test_the_compiled_code_gives_what_its_source_gives(detector, monkeypatch):
    rows = stream()
    compiled = detector.new(2)
    wanted = detector.observe(compiled, *rows)
    records = detector.encode_many(compiled)
    functions = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("eddyline.detectors"):
            for attribute, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    functions.add(value)
                    monkeypatch.setattr(module, attribute, value.py_func)
    assert functions
    plain = detector.new(2)
    assert_same(detector.observe(plain, *rows), wanted)
    assert plain.tobytes() == compiled.tobytes()
    assert detector.encode_many(plain) == records
    back = detector.new(2)
    assert detector.decode_many(records, back) == {}
    assert back.tobytes() == compiled.tobytes()
