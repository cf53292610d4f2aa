from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.schemas.arrow import arrow_schema
from eddyline.transforms.devices.shard import split_by_shard
from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet
from eddyline.transforms.fleet.fleet_codec import decode_fleet, encode_fleet
from eddyline.transforms.minutes.minute_rows import minute_rows
from eddyline.transforms.minutes.minute_sums import steps_of
from eddyline.transforms.minutes.partial import merged, partial_sums

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
DISORDER = 10
REMEMBER = 6
DETECTORS = ("half_space_trees", "moving_average")

VALUES = st.tuples(
    st.sampled_from((20.0, 20.5, 21.0, 21.5, 80.0, -0.0, 0.0, float("nan"), None)),
    st.sampled_from((0, 7, 2**60 + 1, None)),
    st.sampled_from((True, False, None)),
)


@st.composite
def in_order(draw):
    """Rows of up to 5 devices by event time, many of them at the same one."""
    steps = draw(st.lists(st.sampled_from((0, 0, 0.000001, 0.4, 3, 40)), min_size=1, max_size=50))
    times = np.cumsum(steps).tolist()
    devices = draw(st.integers(1, 5))
    return [
        (f"d{draw(st.integers(1, devices))}", time, 1000 + identity, draw(VALUES))
        for identity, time in enumerate(times)
    ]


@st.composite
def disturbed(draw):
    """The same rows in order, and shuffled and repeated within the bounds, cut into batches."""
    rows = draw(in_order())
    # Whoever is at most DISORDER late in a queue by event time overtakes nobody by more.
    delays = [draw(st.sampled_from((0, 0, 1, 5, DISORDER))) for _ in rows]
    places = sorted(range(len(rows)), key=lambda row: (rows[row][1] + delays[row], delays[row]))
    arriving = [rows[place] for place in places]
    for _ in range(draw(st.integers(0, 8))):
        again = draw(st.sampled_from(arriving))
        at = draw(st.integers(0, len(arriving)))
        first = arriving.index(again)
        others = {row for row in arriving[first + 1 : at] if row[0] == again[0] and row != again}
        if len(others) < REMEMBER:
            arriving.insert(max(at, first + 1), again)
    cuts = draw(st.sets(st.integers(1, max(1, len(arriving) - 1)), max_size=len(arriving)))
    bounds = sorted({0, len(arriving)} | {cut for cut in cuts if cut < len(arriving)})
    return rows, [arriving[start:end] for start, end in pairwise(bounds)]


class Run:
    """What came out of fleets, comparable: sorted words of the rows, floats to the last bit."""

    def __init__(self):
        self.unique, self.scored, self.anomalies, self.duplicates = [], [], [], 0

    def add(self, watched):
        self.unique.append(watched.unique)
        self.scored.append(watched.scored)
        self.anomalies.append(watched.anomalies)
        self.duplicates += watched.duplicates

    def rows(self, name):
        return [row for batch in getattr(self, name) for row in batch.to_pylist()]

    def words(self, name):
        # When a copy arrived, and where from, is that copy's own.
        own = {"arrival_time", "source", "position"}
        return sorted(
            repr({k: v for k, v in row.items() if k not in own}) for row in self.rows(name)
        )

    def verdicts(self):
        return {row["reading_id"]: row["verdict"] for row in self.rows("scored")}

    def minutes(self, contract):
        steps = steps_of(contract.channels)
        parts = [partial_sums(u, contract.channels, steps) for u in self.unique if u.num_rows]
        whole = merged(parts)
        schema = arrow_schema(contract.record("minute"))
        rows = minute_rows(whole, [0] * whole.num_rows, contract.channels, steps, schema)
        return repr(rows.to_pylist())


@pytest.fixture(scope="session")
def new_fleet(contract, small_detector):
    def make(detector="half_space_trees", remember=REMEMBER):
        return Fleet(contract, small_detector(detector), DISORDER * SECOND, remember)

    return make


@pytest.fixture(scope="session")
def run(new_fleet, readings):
    """Through one fleet a shard; `between` is done to a fleet after each of its batches."""

    def through(batches, shards=1, detector="half_space_trees", between=None, remember=REMEMBER):
        fleets = defaultdict(lambda: new_fleet(detector, remember))
        result, at = Run(), 0
        for number, batch in enumerate(batches):
            for shard, part in split_by_shard(readings(batch, at), shards):
                result.add(fleets[shard].observe(part))
                if between:
                    fleets[shard] = between(fleets[shard], result, number)
            at += len(batch)
        for fleet in fleets.values():
            result.add(fleet.advance(END_OF_TIME))
        result.fleets = fleets
        return result

    return through


def assert_same(found, expected, contract):
    for name in ("unique", "scored", "anomalies"):
        assert found.words(name) == expected.words(name)
    assert found.minutes(contract) == expected.minutes(contract)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("shards", [1, 3, 16])
def test_order_copies_batches_and_shards_do_not_matter(contract, run, detector, shards):
    @settings(max_examples=25)
    @given(disturbed())
    def same(case):
        rows, batches = case
        expected = run([rows], detector=detector)
        found = run(batches, shards, detector)
        assert_same(found, expected, contract)
        assert found.duplicates == sum(map(len, batches)) - len(rows)
        assert expected.duplicates == 0

    same()


@settings(max_examples=30)
@given(disturbed())
def test_one_reading_at_a_time_is_the_same(contract, run, case):
    rows, batches = case
    alone = [[row] for batch in batches for row in batch]
    assert_same(run(alone, 3), run([rows]), contract)


@pytest.mark.parametrize("detector", DETECTORS)
def test_writing_and_reading_the_state_between_any_two_batches_is_the_same(
    contract, new_fleet, run, detector
):
    def recoded(fleet, result, number):
        again = new_fleet(detector)
        assert decode_fleet(encode_fleet(fleet), again) == 0
        assert encode_fleet(again) == encode_fleet(fleet)
        return again

    @settings(max_examples=30)
    @given(disturbed())
    def same(case):
        rows, batches = case
        found = run(batches, 3, detector, between=recoded)
        assert_same(found, run([rows], detector=detector), contract)

    same()


@settings(max_examples=30)
@given(disturbed(), st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_a_watermark_that_keeps_its_promise_changes_nothing(contract, run, case, behind):
    rows, batches = case
    coming = [min((t for b in batches[n:] for _, t, *_ in b), default=1e6) for n in range(1, 99)]

    def advanced(fleet, result, number):
        watermark = coming[number] + DISORDER - behind[number % len(behind)]
        result.add(fleet.advance(T0 + round(watermark * SECOND)))
        return fleet

    assert_same(run(batches, 3, between=advanced), run([rows]), contract)


@settings(max_examples=30)
@given(disturbed())
def test_every_reading_is_a_duplicate_or_unique_and_every_unique_one_is_scored_once(run, case):
    _, batches = case
    result = run(batches, 3)
    taken = sum(len(batch) for batch in batches)
    unique = Counter(row["reading_id"] for row in result.rows("unique"))
    scored = Counter(row["reading_id"] for row in result.rows("scored"))
    assert sum(unique.values()) + result.duplicates == taken
    assert unique == scored
    assert set(unique.values()) == {1}
    anomalies = [row["reading_id"] for row in result.rows("anomalies")]
    assert sorted(anomalies) == sorted(
        i for i, verdict in result.verdicts().items() if verdict == "ANOMALY"
    )


@settings(max_examples=30)
@given(disturbed(), st.data())
def test_what_comes_beyond_the_bound_is_late_and_teaches_nothing(new_fleet, run, case, data):
    rows, batches = case
    late, number = {}, 0
    with_late, seen = [], {}
    for batch in batches:
        mixed = []
        for row in batch:
            mixed.append(row)
            seen[row[0]] = max(seen.get(row[0], 0), row[1])
            if data.draw(st.booleans()):
                number += 1
                behind = DISORDER + data.draw(st.sampled_from((0.000001, 1, 1000)))
                straggler = (row[0], seen[row[0]] - behind, number, (84.0, 900, True))
                mixed += [straggler] * data.draw(st.integers(1, 2))
                late[number] = len(mixed)
        with_late.append(mixed)
    without = run([rows], remember=200)
    result = run(with_late, remember=200)
    verdicts = result.verdicts()
    assert {identity for identity, verdict in verdicts.items() if verdict == "LATE"} == set(late)
    assert {i: v for i, v in verdicts.items() if i not in late} == without.verdicts()
    assert all(row["score"] is None for row in result.rows("scored") if row["verdict"] == "LATE")
    (one,), (other,) = result.fleets.values(), without.fleets.values()
    for device, row in one.row.items():
        record = one.detector.encode(one.models, row)
        assert record == other.detector.encode(other.models, other.row[device])


def test_a_device_that_appears_later_is_scored_like_one_that_was_there_from_the_start(run):
    old = [("old", t, t, (20.0 + t % 3, t, False)) for t in range(40)]
    new = [("new", 20 + t, 100 + t, (21.0 + t % 2, t, True)) for t in range(20)]
    mixed = sorted(old + new, key=lambda row: row[1])
    together = run([[row] for row in mixed]).verdicts()
    alone = run([new]).verdicts() | run([old]).verdicts()
    assert together == alone
    assert {together[100 + t] for t in range(8)} == {"WARM_UP"}


def test_one_fleet_a_device_equals_one_fleet(contract, run):
    rows = [(f"d{t % 5}", t // 5, t, (20.0 + t % 7, t % 4, t % 2 == 0)) for t in range(150)]
    alone = Run()
    for device in {row[0] for row in rows}:
        result = run([[row for row in rows if row[0] == device]])
        for name in ("unique", "scored", "anomalies"):
            getattr(alone, name).extend(getattr(result, name))
    assert_same(alone, run([rows]), contract)


def test_readings_of_equal_event_time_are_scored_by_their_id(new_fleet, readings):
    fleet = new_fleet()
    fleet.observe(readings([("d", 5, 3), ("d", 5, 1), ("d", 5, 2)]))
    scored = fleet.advance(END_OF_TIME).scored
    assert scored.column("reading_id").to_pylist() == [1, 2, 3]


def test_a_reading_waits_until_its_device_is_seen_more_than_the_bound_later(new_fleet, readings):
    fleet = new_fleet()
    waited = fleet.observe(readings([("d", 0, 1), ("d", 0.000001, 2), ("other", 99, 3)]))
    assert waited.scored.num_rows == 0
    assert fleet.observe(readings([("d", DISORDER, 4)])).scored.num_rows == 0
    released = fleet.observe(readings([("d", DISORDER + 0.000001, 5)])).scored
    assert released.column("reading_id").to_pylist() == [1]


def test_the_bound_itself_is_in_time_and_a_microsecond_more_is_late(new_fleet, readings):
    fleet = new_fleet()
    rows = [("d", 20, 1), ("d", 20 - DISORDER, 2), ("d", 20 - DISORDER - 0.000001, 3)]
    scored = fleet.observe(readings(rows)).scored
    assert scored.select(["reading_id", "verdict"]).to_pylist() == [
        {"reading_id": 3, "verdict": "LATE"}
    ]


def test_due_is_the_first_watermark_that_releases_something(new_fleet, readings):
    fleet = new_fleet()
    assert fleet.due() is None
    fleet.observe(readings([("a", 3, 1), ("b", 7.5, 2)]))
    due = fleet.due()
    assert due == T0 + (3 + DISORDER) * SECOND + 1
    assert fleet.advance(due - 1).scored.num_rows == 0
    assert fleet.due() == due
    advanced = fleet.advance(due)
    assert advanced.scored.column("reading_id").to_pylist() == [1]
    assert (advanced.unique.num_rows, advanced.duplicates) == (0, 0)
    assert fleet.due() == T0 + round((7.5 + DISORDER) * SECOND) + 1
    assert fleet.advance(END_OF_TIME).scored.num_rows == 1
    assert fleet.due() is None
    assert fleet.advance(END_OF_TIME).scored.num_rows == 0


def test_what_comes_after_the_watermark_released_a_later_reading_is_late(new_fleet, readings):
    fleet = new_fleet()
    fleet.observe(readings([("d", 50, 1)]))
    fleet.advance(T0 + (50 + DISORDER) * SECOND + 1)
    watched = fleet.observe(
        readings([("d", 50, 2), ("d", 49, 3), ("d", 50.000001, 4), ("d", 50, 1)])
    )
    assert watched.scored.select(["reading_id", "verdict"]).to_pylist() == [
        {"reading_id": 2, "verdict": "LATE"},
        {"reading_id": 3, "verdict": "LATE"},
    ]
    assert watched.duplicates == 1
    assert watched.unique.num_rows == 3


def test_an_empty_batch_gives_nothing(new_fleet, readings):
    watched = new_fleet().observe(readings([]))
    assert [batch.num_rows for batch in watched[:3]] == [0, 0, 0]


def test_unique_readings_keep_the_order_of_their_arrival(new_fleet, readings):
    rows = [("b", 9, 4), ("a", 1, 2), ("a", 1, 2), ("b", 3, 1), ("c", 0, 3)]
    unique = new_fleet().observe(readings(rows)).unique
    assert unique.column("reading_id").to_pylist() == [4, 2, 1, 3]


def test_scored_readings_and_anomalies_have_the_schema_of_their_tables(contract, run):
    rows = [("d", t, t, (20.0 + t % 2, 1, True)) for t in range(30)]
    rows += [("d", 30, 30, (84.0, 999, False)), ("d", 1, 31, (20.0, 1, True))]
    result = run([rows])
    assert len(result.rows("anomalies")) > 0
    assert {"LATE", "WARM_UP", "NORMAL", "ANOMALY"} == set(result.verdicts().values())
    for name, record in (("scored", "reading"), ("anomalies", "anomaly")):
        table = pa.Table.from_batches(getattr(result, name))
        assert table.schema == arrow_schema(contract.record(record))
        for field in table.schema:
            assert field.nullable or table.column(field.name).null_count == 0
    ready = {row["reading_id"]: row["score"] for row in result.rows("scored")}
    assert all(
        (ready[i] is None) == (v in ("LATE", "WARM_UP")) for i, v in result.verdicts().items()
    )
