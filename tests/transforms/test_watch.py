import numpy as np
import pyarrow as pa
import pytest
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.shard import shard_of, split_by_shard
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.summarize import Summarize
from eddyline.transforms.watch import (
    FleetSettings,
    FoldShard,
    Watch,
    WatchShard,
)

NO_FILES = KnownFiles(lambda: 0.0)
SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND


class Timer:
    due = None

    def set(self, when):
        self.due = when

    def clear(self):
        self.due = None


@pytest.fixture(scope="session")
def fleet_settings(contract, small_detector):
    return FleetSettings(contract, small_detector())


@pytest.fixture
def worker(fleet_settings):
    def start():
        watch = WatchShard(fleet_settings, NO_FILES, 1)
        watch.setup()
        return watch

    return start


def fed(batch, shard=0, stream=NEVER):
    """A batch as it comes to a shard; the stream's time is told apart."""
    return shard, (stream, batch)


def fold_of(fleet_settings, batches, span=(NEVER, NEVER)):
    fold = FoldShard(fleet_settings, NO_FILES, 1)
    fold.setup()
    return list(fold.process((0, [(NEVER, batch) for batch in batches]), span))


def scored_ids(outputs):
    batches = [o.value for o in outputs if hasattr(o, "value") and not hasattr(o, "tag")]
    return [i for batch in batches for i in batch.column("reading_id").to_pylist()]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"disorder": -1}, "disorder must not be negative: -1"),
        ({"remember": 0}, "remember must be at least 1, not 0"),
    ],
)
def test_wrong_fleet_settings_are_refused(contract, small_detector, wrong, message):
    with pytest.raises(ValueError, match=message):
        FleetSettings(contract, small_detector(), **wrong)


@pytest.mark.parametrize("shards", [0, -3])
def test_a_watch_needs_a_shard(fleet_settings, shards):
    with pytest.raises(ValueError, match=f"shards must be at least 1, not {shards}"):
        Watch(fleet_settings, NO_FILES, shards)


@pytest.mark.parametrize("name", ["allowed_lateness", "early"])
def test_wrong_times_of_the_minutes_are_refused(contract, name):
    with pytest.raises(ValueError, match=f"{name} must not be negative: -1"):
        Summarize(contract, **{name: -1})


def test_the_shard_of_a_device_is_the_same_for_ever():
    devices = ["", "a", "b", "device-1", "device-2", "Gerät 7", "传感器"]
    assert [shard_of(d, 16) for d in devices] == [2, 15, 15, 5, 14, 15, 0]
    assert {shard_of(d, 1) for d in devices} == {0}


@settings(max_examples=50)
@given(st.lists(st.sampled_from(("a", "b", "c", "d", "ä")), max_size=30), st.integers(1, 16))
def test_a_batch_is_split_without_loss_and_in_order(readings, devices, shards):
    batch = readings([(device, 0, i) for i, device in enumerate(devices)])
    parts = list(split_by_shard(batch, shards))
    assert [shard for shard, _ in parts] == sorted({shard_of(d, shards) for d in devices})
    for shard, part in parts:
        expected = [i for i, device in enumerate(devices) if shard_of(device, shards) == shard]
        assert part.column("reading_id").to_pylist() == expected


def test_a_retried_bundle_begins_from_the_state_and_not_from_what_the_worker_remembers(
    worker, new_state, readings
):
    watch, state, due = worker(), new_state(), Timer()
    first, second = readings([("d", 0, 1), ("d", 1, 2)]), readings([("d", 2, 3), ("d", 30, 4)])
    list(watch.process(fed(first), *state.cells, due))
    state.commit()
    failed = scored_ids(watch.process(fed(second), *state.cells, due))
    state.fail()
    assert scored_ids(watch.process(fed(second), *state.cells, due)) == failed == [1, 2, 3]


def test_a_bundle_that_fails_before_its_state_is_written_is_retried_alike(
    worker, new_state, readings, monkeypatch
):
    watch, state, due = worker(), new_state(), Timer()
    list(watch.process(fed(readings([("d", 0, 1)])), *state.cells, due))
    state.commit()
    with monkeypatch.context() as broken:
        broken.setattr(state.cells[2], "write", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(watch.process(fed(readings([("d", 1, 2)])), *state.cells, due))
    outputs = watch.process(fed(readings([("d", 1, 2), ("d", 30, 3)])), *state.cells, due)
    assert scored_ids(outputs) == [1, 2]


def test_another_worker_goes_on_from_the_state(worker, new_state, readings):
    state, due = new_state(), Timer()
    list(worker().process(fed(readings([("d", 0, 1)])), *state.cells, due))
    assert scored_ids(
        worker().process(fed(readings([("d", 0, 1), ("d", 30, 2)])), *state.cells, due)
    ) == [1]


def test_the_timer_is_set_to_a_full_second_and_only_while_something_waits(
    worker, new_state, readings
):
    watch, state, due = worker(), new_state(), Timer()
    list(
        watch.process(
            fed(readings([("d", 0.25, 1), ("d", 0.75, 2), ("d", 2, 3)])), *state.cells, due
        )
    )
    assert due.due == Timestamp(micros=T0 + 11 * SECOND)
    assert scored_ids(watch.release(0, due.due, *state.cells, due)) == [1, 2]
    assert due.due == Timestamp(micros=T0 + 13 * SECOND)
    assert scored_ids(watch.release(0, due.due, *state.cells, due)) == [3]
    assert due.due is None


def test_a_timer_that_fires_twice_releases_nothing_twice(worker, new_state, readings):
    watch, state, due = worker(), new_state(), Timer()
    list(watch.process(fed(readings([("d", 0, 1)])), *state.cells, due))
    when = due.due
    assert scored_ids(watch.release(0, when, *state.cells, due)) == [1]
    assert list(watch.release(0, when, *state.cells, due)) == []


def test_workers_remember_a_bounded_number_of_fleets(worker, new_state, readings, monkeypatch):
    monkeypatch.setattr("eddyline.transforms.watch.CACHED_FLEETS", 2)
    watch, states = worker(), [new_state() for _ in range(4)]
    for second in (0, 30):
        for shard, state in enumerate(states):
            batch = readings([("d", second, 10 * shard + second)])
            ids = scored_ids(watch.process(fed(batch, shard), *state.cells, Timer()))
            assert ids == ([10 * shard] if second else [])
    assert len(watch._decoded) == 2


@settings(max_examples=30)
@given(st.permutations(range(12)))
def test_the_bounded_form_takes_readings_in_the_order_of_their_arrival(
    fleet_settings, readings, order
):
    rows = [("d", 7 * (t % 5) + t, t) for t in range(36)]
    batches = [readings(rows[at : at + 3], at) for at in range(0, 36, 3)]

    def fold(batches):
        outputs = fold_of(fleet_settings, batches)
        return [o.value.to_pylist() for o in outputs if not hasattr(o, "tag")]

    assert repr(fold([batches[at] for at in order])) == repr(fold(batches))


def test_chunks_of_a_bounded_shard_do_not_show(fleet_settings, readings, monkeypatch):
    rows = [("d", t + 4 * (t % 3), t, (20.0 + t % 3,)) for t in range(50)]

    def fold():
        outputs = fold_of(fleet_settings, [readings(rows)])
        return pa.concat_batches([o.value for o in outputs if not hasattr(o, "tag")])

    whole = fold()
    monkeypatch.setattr("eddyline.transforms.watch.CHUNK", 7)
    assert repr(fold().to_pylist()) == repr(whole.to_pylist())
    assert np.isin(range(50), whole.column("reading_id")).all()
