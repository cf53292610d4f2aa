"""Devices that move: from fleets to others, from a file to any number of shards."""

from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.transforms.devices.admission import NEVER
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.devices.shard import shard_of, split_by_shard
from eddyline.transforms.fleet.device_states import DEVICE_STATES, ROWS, begin_with, device_states
from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet
from eddyline.transforms.fleet.fleet_parts import FleetRefused, parts_of
from eddyline.transforms.fleet.state_file import StatesByShard, check_states
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.incident_id import incident_id
from eddyline.transforms.incidents.known import Known

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
REGISTRY = read_registry("d.csv", b"device_id,expected\nnever,true\na,true\n", [])
VALUES = st.tuples(
    st.sampled_from((0.0, 1.0, 12.0, -30.0, None)),
    st.sampled_from((0, 1, 5, 9)),
    st.sampled_from((True, None)),
)


class Shards:
    """A job's fleets, fed batch after batch, and what they told."""

    def __init__(self, new_fleet, number, states=None):
        self.number, self.told = number, []
        self.fleets = {}
        for shard in range(number):
            self.fleets[shard] = fleet = new_fleet()
            fleet.know(Known(REGISTRY, belongs=lambda d, s=shard: shard_of(d, number) == s))
            if states is not None:
                own = [row for row in states if shard_of(row["device_id"], number) == shard]
                began = min(row["began"].timestamp() for row in states)
                stream = max(row["stream"].timestamp() for row in states)
                times = (round(began * SECOND), round(stream * SECOND))
                assert begin_with(fleet, [row["state"] for row in own], *times) == 0

    def take(self, batch, stream):
        for fleet in self.fleets.values():
            fleet.tell(stream)
        for shard, part in split_by_shard(batch, self.number):
            self.told.append(self.fleets[shard].observe(part))

    def states(self):
        return [
            row
            for fleet in self.fleets.values()
            for batch in device_states(fleet, T0)
            for row in batch.to_pylist()
        ]

    def end(self):
        for fleet in self.fleets.values():
            self.told.append(fleet.advance(END_OF_TIME))
        return self.told


def words(watched):
    """All that was told, whatever the batches, and how often something was repeated or late."""
    names = ("unique", "scored", "anomalies", "incidents")
    rows = {n: sorted(repr(r) for w in watched for r in getattr(w, n).to_pylist()) for n in names}
    return rows, sum(w.duplicates for w in watched), sum(w.late for w in watched)


@pytest.fixture(scope="session")
def new_fleet(contract, plain_detector):
    return lambda: Fleet(contract, plain_detector, 10 * SECOND, 6)


@st.composite
def streams(draw):
    """Rows in any order, some repeated, cut into batches; and after which of them to move."""
    rows = [
        (f"d{draw(st.integers(1, 4))}", time + draw(st.sampled_from((0, -4, -9, -40))), i, values)
        for i, (time, values) in enumerate(
            zip(
                range(0, 1200, draw(st.sampled_from((20, 60)))),
                draw(st.lists(VALUES, min_size=20, max_size=60)),
                strict=False,
            )
        )
    ]
    for _ in range(draw(st.integers(0, 5))):
        rows.insert(draw(st.integers(0, len(rows))), draw(st.sampled_from(rows)))
    cuts = draw(st.sets(st.integers(1, len(rows) - 1), min_size=1, max_size=6))
    batches = [rows[start:end] for start, end in pairwise([0, *sorted(cuts), len(rows)])]
    return batches, draw(st.integers(1, len(batches) - 1))


@settings(max_examples=25)
@given(streams(), st.integers(1, 4), st.integers(1, 9))
def test_devices_that_move_to_other_shards_go_on_bit_for_bit(
    new_fleet, readings, stream, before, after
):
    batches, moves_after = stream
    made = [readings(batch, at=100 * at) for at, batch in enumerate(batches)]
    # As a bounded job tells them: the whole stream at once.
    times = [time for batch in batches for _, time, *_ in batch]
    span = (T0 + min(times) * SECOND, T0 + max(times) * SECOND)

    def feed(shards, batches):
        for batch in batches:
            for time in span:
                shards.take(batch.slice(0, 0), time)
            shards.take(batch, span[1])

    whole = Shards(new_fleet, before)
    feed(whole, made)
    first = Shards(new_fleet, before)
    feed(first, made[:moves_after])
    states = first.states()
    assert states == first.states()  # telling them changes nothing
    second = Shards(new_fleet, after, states)
    feed(second, made[moves_after:])
    assert words(first.told + second.end()) == words(whole.end())


@pytest.fixture
def troubled(new_fleet, readings):
    """A fleet with an open incident, a raised threshold, a command and readings that wait."""
    fleet = new_fleet()
    fleet.know(Known(REGISTRY))
    fleet.tell(T0)
    fleet.observe(readings([("a", t, t, (0.0, 0, True)) for t in range(0, 1200, 60)]))
    fleet.observe(readings([("b", 0, 7, (50.0, 0, True)), ("b", 90, 8, (50.0, 0, True))], at=99))
    fleet.tell(T0 + 9_000 * SECOND)
    fleet.advance(T0 + 9_000 * SECOND)
    opened = incident_id("b", "condition", T0)
    fleet.control([Command(T0 + 1, "b", opened, "false_alarm", "condition")])
    fleet.control([Command(T0 + 10**12, "b", opened, "confirmed")])
    fleet.observe(readings([("b", 9_000, 9, (60.0, 0, True))], at=300))
    return fleet


def rows_of(fleet, at=T0):
    return [row for batch in device_states(fleet, at) for row in batch.to_pylist()]


def test_a_row_says_what_it_is_of(troubled):
    rows = {row["device_id"]: row for row in rows_of(troubled, T0 + 5 * SECOND)}
    assert list(rows) == ["a", "b", "never"]  # the last one is in trouble and was never heard of
    assert [row["waiting"] for row in rows.values()] == [0, 1, 0]
    assert [row["open_incidents"] for row in rows.values()] == [1, 0, 1]
    assert rows["never"]["last_seen"] is None
    for row in rows.values():
        assert row["exported_at"].timestamp() == T0 / SECOND + 5
        assert row["began"].timestamp() == T0 / SECOND
        assert row["stream"].timestamp() == T0 / SECOND + 9_000


def test_all_that_is_known_of_a_device_moves_with_it(new_fleet, troubled):
    again = new_fleet()
    again.know(Known(REGISTRY))
    states = [row["state"] for row in rows_of(troubled)]
    assert begin_with(again, states, T0, T0 + 9_000 * SECOND) == 0
    assert parts_of(again) == parts_of(troubled)
    assert again.casebook.troubles["b"].raised
    assert again.casebook.commands["b"]
    assert again.casebook.troubles["never"].open
    assert again.due() == troubled.due()


def test_a_shard_without_devices_knows_where_the_stream_is(new_fleet):
    fleet = new_fleet()
    fleet.know(Known(REGISTRY))
    assert begin_with(fleet, [], T0, T0 + 9_000 * SECOND) == 0
    told = fleet.advance(T0 + 9_000 * SECOND).incidents.to_pylist()
    assert sorted(row["device_id"] for row in told) == ["a", "never"]
    assert {row["kind"] for row in told} == {"missing"}


def test_a_device_that_is_there_twice_is_refused(new_fleet, troubled):
    states = [row["state"] for row in rows_of(troubled)]
    with pytest.raises(FleetRefused, match="the state of device 'b' is there twice"):
        begin_with(new_fleet(), [*states, states[1]], NEVER, NEVER)


def test_large_shards_give_several_batches(new_fleet, readings):
    fleet = new_fleet()
    fleet.observe(readings([(f"d{i}", 0, i) for i in range(ROWS + 2)]))
    batches = list(device_states(fleet, T0))
    assert [batch.num_rows for batch in batches] == [ROWS, 2]
    assert {batch.schema for batch in batches} == {DEVICE_STATES}


@pytest.fixture
def state_file(new_fleet, readings, tmp_path):
    fleet = new_fleet()
    fleet.tell(T0 + SECOND)
    fleet.observe(readings([(f"d{i}", i, i) for i in range(40)]))
    path = tmp_path / "states.parquet"
    pq.write_table(pa.Table.from_batches(device_states(fleet, T0)), path, row_group_size=7)
    return path


def test_every_device_of_a_file_comes_to_the_shard_of_its_readings(new_fleet, state_file):
    for shards in (1, 3, 16):
        by_shard = StatesByShard(str(state_file), shards)
        found = {}
        for shard in range(shards):
            found[shard] = new_fleet()
            assert by_shard.begin(shard, found[shard]) == (len(found[shard].row), 0)
            assert {shard_of(device, shards) for device in found[shard].row} <= {shard}
            assert found[shard].casebook.stream == T0 + SECOND
        assert sum(len(fleet.row) for fleet in found.values()) == 40


def test_a_file_is_checked_before_a_job_begins_with_it(state_file, tmp_path):
    assert check_states(str(state_file)) == (T0 + SECOND, T0 + SECOND, 40)
    wrong = tmp_path / "wrong.parquet"
    wrong.write_bytes(b"device_id,state\n")
    with pytest.raises(ValueError, match=r"wrong\.parquet: no Parquet file of device states"):
        check_states(str(wrong))
    table = pq.read_table(state_file)
    pq.write_table(table.drop_columns(["state"]), wrong)
    with pytest.raises(ValueError, match="no file of device states, it lacks state"):
        check_states(str(wrong))
    later = pa.array([b"EDFL\xff\0" + bytes(20)] * table.num_rows, pa.binary())
    pq.write_table(table.set_column(table.schema.get_field_index("state"), "state", later), wrong)
    with pytest.raises(ValueError, match=r"wrong\.parquet: no fleet of version 1 to"):
        check_states(str(wrong))


def test_states_of_another_time_are_told_to_be_so(new_fleet, state_file, tmp_path):
    damaged = tmp_path / "damaged.parquet"
    table = pq.read_table(state_file)
    cut = [
        state[:-1] if row == 9 else state for row, state in enumerate(table["state"].to_pylist())
    ]
    at = table.schema.get_field_index("state")
    pq.write_table(table.set_column(at, "state", pa.array(cut, pa.binary())), damaged)
    with pytest.raises(FleetRefused, match=r"damaged.parquet: .* truncated or damaged"):
        StatesByShard(str(damaged), 1).begin(0, new_fleet())
