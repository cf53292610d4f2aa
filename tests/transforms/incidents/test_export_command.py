"""An export on the control source: from the message to the rows of every shard."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.schemas.message import Message, message_batch
from eddyline.transforms.decoding.event_time import TimeBounds
from eddyline.transforms.decoding.reject import Reject
from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.fleet.fleet_codec import take_apart
from eddyline.transforms.incidents.export_command import (
    export_batch,
    is_export,
    is_exports,
    parse_export,
)
from eddyline.transforms.incidents.feedback import ParseCommands
from eddyline.transforms.incidents.known_files import KnownFiles
from eddyline.transforms.watch import LAST, FleetSettings, FoldShard, WatchShard

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
FILES = KnownFiles(lambda: 0.0)
WORDS = st.recursive(st.text() | st.none(), st.lists)
ASKED = json.dumps({"action": "export", "event_time": T0 + 5 * SECOND}).encode()


class Timer:
    """A timer of an engine."""

    held = None

    def set(self, value):
        self.held = value

    def clear(self):
        self.held = None


@given(st.binary() | WORDS.map(json.dumps).map(str.encode))
def test_any_bytes_are_an_export_or_not(payload):
    assert not is_export(payload)
    assert isinstance(parse_export(payload, T0, TimeBounds()), Reject)


def test_an_export_goes_to_every_shard_and_a_wrong_one_is_a_dead_letter(contract):
    payloads = [ASKED, b'{"action": "export"}', b'{"action": "export", "event_time": 3}']
    batch = message_batch([Message(p, "desk", str(n), T0, {}) for n, p in enumerate(payloads)])
    outputs = list(ParseCommands(contract, 3, TimeBounds()).process(batch))
    exports = [o.value for o in outputs if not hasattr(o, "tag")]
    assert [shard for shard, _ in exports] == [0, 1, 2]
    assert all(is_exports(asked) and stream == NEVER for _, (stream, asked) in exports)
    (letters,) = [o.value for o in outputs if hasattr(o, "tag")]
    assert letters.column("reason").to_pylist() == ["missing_field", "bad_event_time"]


@pytest.fixture
def shard_settings(contract, plain_detector):
    return FleetSettings(contract, plain_detector)


def fed(batch):
    return 0, (NEVER, batch)


def rows_of(outputs, tag="states"):
    batches = [o.value for o in outputs if getattr(o, "tag", None) == tag]
    return [row for batch in batches for row in batch.to_pylist()]


def scored(outputs):
    batches = [o.value for o in outputs if not hasattr(o, "tag")]
    return [row["reading_id"] for batch in batches for row in batch.to_pylist()]


def watch_of(*settings):
    watch = WatchShard(*settings)
    watch.setup()
    return watch


def test_a_running_shard_tells_its_devices_and_goes_on(shard_settings, new_state, readings):
    watch, state, due = watch_of(shard_settings, FILES, 1), new_state(), Timer()
    list(watch.process(fed(readings([("a", 0, 1), ("b", 3, 2)])), *state.cells, due))
    rows = rows_of(watch.process(fed(export_batch([T0 + 5 * SECOND])), *state.cells, due))
    assert [(row["device_id"], row["waiting"]) for row in rows] == [("a", 1), ("b", 1)]
    assert {row["exported_at"].timestamp() for row in rows} == {T0 / SECOND + 5}
    outputs = list(
        watch.process(fed(readings([("a", 40, 3), ("b", 40, 4)], at=9)), *state.cells, due)
    )
    assert scored(outputs) == [1, 2]


def test_a_shard_that_hands_over_keeps_nothing_that_is_due(
    shard_settings, new_state, readings, tmp_path
):
    file = tmp_path / "states.parquet"
    watch, state = watch_of(shard_settings, FILES, 1, "", True), new_state()
    due, end = Timer(), Timer()
    list(watch.process(fed(readings([("a", 0, 1), ("b", 3, 2)])), *state.cells, due, end))
    assert end.held == LAST
    batches = [o.value for o in watch.leave(0, *state.cells, due)]
    pq.write_table(pa.Table.from_batches(batches), file)
    assert due.held is None
    # What fires in the same bundle after it finds nobody, and does not begin with a file again.
    watch = watch_of(shard_settings, FILES, 1, str(file), True)
    assert list(watch.release(0, LAST, *state.cells, due)) == []
    assert take_apart(state.cells[0].read()).devices.num_rows == 0
    # Another job begins with what waited, and its own state goes before the file.
    other = new_state()
    assert scored(watch.process(fed(readings([("a", 40, 3)], at=9)), *other.cells, due, end)) == [1]
    assert take_apart(other.cells[0].read()).devices.num_rows == 2
    assert scored(watch.process(fed(readings([("b", 40, 4)], at=9)), *other.cells, due, end)) == [2]


def fold_of(settings, batches, **more):
    fold = FoldShard(settings, FILES, 1, **more)
    fold.setup()
    return list(fold.process((0, [(NEVER, batch) for batch in batches]), (T0, T0 + 3 * SECOND)))


def test_a_bounded_run_tells_its_devices_before_the_end_and_ends(shard_settings, readings):
    batches = [export_batch([T0]), readings([("a", 0, 1), ("b", 3, 2)])]
    outputs = fold_of(shard_settings, batches)
    assert [row["waiting"] for row in rows_of(outputs)] == [1, 1]
    assert scored(outputs) == [1, 2]
    outputs = fold_of(shard_settings, batches[1:], hand_over=True)
    assert [row["waiting"] for row in rows_of(outputs)] == [1, 1]
    assert {row["exported_at"].timestamp() for row in rows_of(outputs)} == {T0 / SECOND + 3}
    assert scored(outputs) == []
