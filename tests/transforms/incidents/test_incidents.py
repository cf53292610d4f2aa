"""Incidents out of whole fleets: the same for any batches, order, shards, replay and restart."""

from collections import defaultdict
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.schemas.arrow import arrow_schema
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.devices.shard import shard_of, split_by_shard
from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet
from eddyline.transforms.fleet.fleet_codec import decode_fleet, encode_fleet
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.known import Known
from eddyline.transforms.policy.policy import Rule

SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
DISORDER = 10
REGISTRY = b"""
devices:
- {device_id: a, site: mill, latitude: 48.5, longitude: 9.5, model: brook, importance: high}
- {device_id: b, site: mill, model: brook}
- {device_id: c, importance: low}
- {device_id: never, site: mill, expected: true}
models:
  brook: {temperature: {maximum: 70}}
"""


@pytest.fixture(scope="session")
def known(contract):
    registry = read_registry("r.yaml", REGISTRY, [c.name for c in contract.channels])
    return lambda belongs=None: Known(registry, belongs=belongs)


@pytest.fixture(scope="session")
def new_fleet(contract, plain_detector, known):
    def make(belongs=None):
        fleet = Fleet(contract, plain_detector, DISORDER * SECOND, 64)
        fleet.know(known(belongs))
        return fleet

    return make


@pytest.fixture(scope="session")
def enriched(readings, contract):
    """Batches of rows, with the limit of 70 degrees of "a" and "b"."""

    def make(rows, at=0):
        batch = readings(rows, at)
        beyond = [
            ["temperature"] if device in "ab" and values and (values[0] or 0) > 70 else None
            for device, _, _, values in rows
        ]
        place = batch.schema.get_field_index("beyond_limits")
        field = batch.schema.field(place)
        return batch.set_column(place, field, pa.array(beyond, field.type))

    return make


class Live:
    """One fleet a shard, fed as a stream is: batches, stream time, a watermark, timers."""

    def __init__(self, new_fleet, shards, between=None):
        self.fleets = {
            shard: new_fleet(lambda d, shard=shard: shard_of(d, shards) == shard)
            for shard in range(shards)
        }
        self.shards, self.between, self.rows = shards, between, []
        self.newest = -(2**62)

    def add(self, watched):
        self.rows += watched.incidents.to_pylist()

    def each(self, do):
        for shard in self.fleets:
            self.add(do(self.fleets[shard]))
            if self.between:
                self.fleets[shard] = self.between(self.fleets[shard])

    def tell(self, stream):
        for fleet in self.fleets.values():
            fleet.tell(stream)

    def control(self, command):
        self.add(self.fleets[shard_of(command.device_id, self.shards)].control([command]))

    def feed(self, batch):
        self.newest = max(self.newest, batch.column("event_time").cast(pa.int64()).to_numpy().max())
        self.tell(int(self.newest))
        parts = dict(split_by_shard(batch, self.shards))
        for shard, part in parts.items():
            self.add(self.fleets[shard].observe(part))
        self.each(lambda fleet: fleet.observe(batch.slice(0, 0)))
        self.pass_to(int(self.newest) - DISORDER * SECOND)

    def pass_to(self, watermark):
        """Fire the timers that are due, as an engine does."""

        def fire(fleet):
            parts = []
            while (due := fleet.due()) is not None and due <= watermark:
                parts.append(fleet.advance(due).incidents)
                assert len(parts) < 10_000, "timers without end"
            told = fleet.advance(-(2**62))
            return told._replace(incidents=pa.concat_batches([*parts, told.incidents]))

        self.each(fire)

    def words(self):
        # When a copy arrived is that copy's own.
        return sorted(repr({k: v for k, v in r.items() if k != "arrival_time"}) for r in self.rows)


def replayed(new_fleet, batches, commands=()):
    """The same as a bounded job folds it."""
    fleet, rows = new_fleet(), []
    fleet.tell(T0)
    for batch in batches:
        fleet.tell(int(batch.column("event_time").cast(pa.int64()).to_numpy().max()))
    rows += fleet.control(commands).incidents.to_pylist()
    for batch in batches:
        rows += fleet.observe(batch).incidents.to_pylist()
    rows += fleet.advance(END_OF_TIME).incidents.to_pylist()
    return fleet, rows


def words(rows):
    return sorted(repr({k: v for k, v in r.items() if k != "arrival_time"}) for r in rows)


VALUES = st.sampled_from(((0.0, 0), (0.0, 0), (6.0, 0), (12.0, 0), (80.0, 0), (0.0, 4), (None, 1)))


@st.composite
def streams(draw):
    """Rows by event time of three devices that report each minute, with gaps and troubles."""
    rows = []
    for number, device in enumerate("abc"[: draw(st.integers(1, 3))]):
        steps = [60] * 14 + draw(
            st.lists(st.sampled_from((60, 60, 60, 61.5, 100, 700, 9_000, 90_000)), max_size=25)
        )
        time = 7.25 * number
        for at, step in enumerate(steps):
            time += step
            values = draw(VALUES) if at > 5 else (0.0, 0)
            rows.append((device, time, 1000 * number + at, values))
    rows.sort(key=lambda row: (row[1], row[2]))
    actions = st.sampled_from(("acknowledge", "confirmed", "false_alarm"))
    commands = draw(st.lists(st.tuples(st.integers(0, 999), actions), max_size=3))
    return rows, commands


@st.composite
def disturbed(draw):
    rows, picks = draw(streams())
    delays = [draw(st.sampled_from((0, 0, 1, 5, DISORDER))) for _ in rows]
    places = sorted(range(len(rows)), key=lambda row: (rows[row][1] + delays[row], delays[row]))
    arriving = [rows[place] for place in places]
    cuts = draw(st.sets(st.integers(1, max(1, len(arriving) - 1)), max_size=12))
    bounds = sorted({0, len(arriving)} | {cut for cut in cuts if cut < len(arriving)})
    return rows, [arriving[a:b] for a, b in pairwise(bounds)], picks


def commands_on(rows, picks):
    """Commands on incidents that were told, a while after they were."""
    told = [row for row in rows if row["transition"] in ("opened", "updated")]
    told.sort(key=lambda row: (row["event_time"], row["incident_id"]))
    commands = []
    for pick, action in picks if told else ():
        row = told[pick % len(told)]
        at = int(row["event_time"].timestamp() * 1e6) + (pick % 7) * 100 * SECOND + 1
        commands.append(
            Command(at, row["device_id"], row["incident_id"], action, row["kind"], "ann")
        )
    return sorted(commands, key=lambda c: (c.time, c.incident_id, c.action))


def cycle(fleet, new_fleet):
    """The fleet as another worker has it after this one was killed."""
    again = new_fleet()
    again.know(fleet.casebook.known)
    assert decode_fleet(encode_fleet(fleet), again) == 0
    assert encode_fleet(again) == encode_fleet(fleet)
    assert again.due() == fleet.due()
    return again


@settings(max_examples=60)
@given(disturbed(), st.integers(1, 4), st.booleans())
def test_order_batches_shards_and_restarts_do_not_show(
    new_fleet, enriched, disturbed, shards, restarts
):
    rows, batches, picks = disturbed
    _, plain = replayed(new_fleet, [enriched(rows)])
    commands = commands_on(plain, picks)
    _, expected = replayed(new_fleet, [enriched(rows)], commands)
    live = Live(new_fleet, shards, (lambda f: cycle(f, new_fleet)) if restarts else None)
    live.tell(T0)
    waiting, at = list(commands), 0
    for batch in batches:
        # An operator's command comes before the readings of its time do.
        until = T0 + round(max(row[1] for row in batch) * SECOND)
        while waiting and waiting[0].time <= until:
            live.control(waiting.pop(0))
        live.feed(enriched(batch, at))
        at += len(batch)
    for command in waiting:
        live.control(command)
    live.pass_to(END_OF_TIME)
    ours, theirs = live.words(), words(expected)
    assert [w for w in ours if w not in theirs] == [w for w in theirs if w not in ours]
    assert ours == theirs


@settings(max_examples=40)
@given(streams())
def test_rows_have_their_schema_and_every_incident_its_order(contract, new_fleet, enriched, drawn):
    rows, _ = drawn
    fleet, told = replayed(new_fleet, [enriched(rows)])
    schema = arrow_schema(contract.record("incident"))
    batch = pa.RecordBatch.from_pylist(told, schema=schema)
    for field in schema:
        assert field.nullable or batch.column(field.name).null_count == 0
    by_id = defaultdict(list)
    for row in told:
        by_id[row["incident_id"]].append(row)
    for one in by_id.values():
        assert [row["revision"] for row in one] == list(range(len(one)))
        assert one[0]["transition"] == "opened"
        assert [row["transition"] for row in one].count("resolved") <= 1
        assert len({(row["kind"], row["opened_at"], row["device_id"]) for row in one}) == 1
    open_now = {i.id_of(name) for name, t in fleet.casebook.troubles.items() for i in t.open}
    assert open_now == {k for k, one in by_id.items() if one[-1]["transition"] != "resolved"}
    assert fleet.due() is None


def steady(device, start, number, step=10, values=(0.0, 0), first=0):
    return [(device, start + step * n, first + n, values) for n in range(number)]


def brief(rows):
    return [(r["device_id"], r["transition"], r["kind"]) for r in rows]


def test_a_row_says_where_and_what_and_how_much(new_fleet, enriched):
    rows = [*steady("a", 0, 5), ("a", 50, 5, (12.0, 0))]
    _, told = replayed(new_fleet, [enriched(rows)])
    row = told[0]
    assert (row["site"], row["latitude"], row["longitude"], row["model"]) == (
        "mill",
        48.5,
        9.5,
        "brook",
    )
    assert (row["kind"], row["sign"], row["channels"][0]) == ("condition", "level", "temperature")
    assert (row["observed"], row["expected"], row["expected_low"]) == (12.0, 0.0, None)
    assert (row["severity"], row["score"], row["count"]) == ("error", 12.0, 1)
    assert row["arrival_time"].timestamp() * 1e6 == T0 + 5 * SECOND


def test_a_device_that_the_registry_has_not_is_where_its_readings_say(new_fleet, enriched):
    _, told = replayed(new_fleet, [enriched([("x", 1, 1, (12.0, 0))])])
    assert [row["site"] for row in told if row["device_id"] == "x"] == ["site of x"]


def test_limits_are_told_with_the_models_own(new_fleet, enriched):
    _, told = replayed(new_fleet, [enriched([("a", 1, 1, (80.0, 0))])])
    row = told[0]
    assert (row["kind"], row["severity"]) == ("out_of_limits", "critical")
    assert row["explanation"] == "temperature 80 is above its limit of 70"
    assert (row["observed"], row["expected_low"], row["expected_high"]) == (80.0, None, 70.0)


def test_a_late_reading_changes_no_incident(new_fleet, enriched):
    fleet = new_fleet()
    rows = [*steady("a", 0, 100), ("a", 5, 500, (80.0, 9))]
    assert fleet.observe(enriched(rows)).late == 1
    assert fleet.advance(END_OF_TIME).incidents.num_rows == 0


def test_an_expected_device_that_never_comes_is_missing_after_the_grace(new_fleet, enriched):
    _, told = replayed(new_fleet, [enriched(steady("a", 0, 1200))])
    assert brief(told) == [("never", "opened", "missing"), ("never", "updated", "missing")]
    row = told[0]
    assert row["event_time"].timestamp() * 1e6 == T0 + 7200 * SECOND
    assert (row["site"], row["observed"], row["arrival_time"]) == ("mill", 7200.0, None)
    _, early = replayed(new_fleet, [enriched(steady("a", 0, 719))])
    assert early == []


def test_workers_that_saw_the_stream_begin_at_other_seconds_agree_on_the_missing(new_fleet):
    ids = set()
    for began in (-1000, -3, 0, 80, 2500):
        fleet = new_fleet()
        fleet.tell(T0 + began * SECOND)
        fleet.tell(T0 + 7200 * SECOND)
        ids |= set(fleet.advance(T0 + 7200 * SECOND).incidents.column("incident_id").to_pylist())
    assert len(ids) == 1


def test_a_missing_device_that_comes_is_told_so(new_fleet, enriched):
    fleet = new_fleet()
    fleet.tell(T0)
    fleet.tell(T0 + 7300 * SECOND)
    assert fleet.due() == T0 + 7200 * SECOND
    assert brief(fleet.advance(T0 + 7200 * SECOND).incidents.to_pylist()) == [
        ("never", "opened", "missing")
    ]
    fleet = cycle(fleet, new_fleet)
    fleet.observe(enriched(steady("never", 8000, 2)))
    (row,) = fleet.advance(END_OF_TIME).incidents.to_pylist()
    assert (row["transition"], row["duration"]) == ("resolved", 8000.0)
    assert row["explanation"] == "heard of for the first time after 2.2 h"


def test_a_device_that_is_expected_no_longer_is_not_missing(new_fleet):
    fleet = new_fleet()
    fleet.tell(T0)
    fleet.tell(T0 + 7300 * SECOND)
    fleet.advance(T0 + 7200 * SECOND)
    fleet.know(Known())
    (row,) = fleet.advance(T0 + 7300 * SECOND).incidents.to_pylist()
    assert (row["transition"], row["explanation"]) == (
        "resolved",
        "the registry expects it no longer",
    )
    assert fleet.due() is None


def test_a_kind_that_the_policy_turns_off_is_an_anomaly_and_no_incident(new_fleet, enriched):
    class Off:
        def rule(self, device, site, model):
            return Rule(off=frozenset({"event", "condition", "silent", "missing"}))

    fleet = new_fleet()
    fleet.know(Known(fleet.casebook.known.registry, Off()))
    fleet.tell(T0)
    rows = [*steady("a", 0, 70), ("a", 700, 99, (30.0, 9)), ("a", 90_000, 100, (0.0, 0))]
    watched = fleet.observe(enriched(rows))
    fleet.tell(T0 + 90_000 * SECOND)
    assert watched.anomalies.num_rows == 1
    assert fleet.advance(END_OF_TIME).incidents.num_rows == watched.incidents.num_rows == 0


def test_a_policy_threshold_holds_from_its_reading_on_and_changes_no_model(new_fleet, enriched):
    class High:
        def rule(self, device, site, model):
            return Rule(thresholds={"condition": 40.0})

    rows = [(d, t, 100 * ord(d) + t, (12.0, 0)) for t in range(0, 60, 10) for d in "ab"]
    strict, lax = new_fleet(), new_fleet()
    lax.know(Known(lax.casebook.known.registry, High()))
    opened = [f.observe(enriched(rows)).incidents.num_rows for f in (strict, lax)]
    assert opened == [2, 0]
    assert strict.detector.encode_many(strict.models) == lax.detector.encode_many(lax.models)
