"""Base and log together are the fleet, after every step and to the last bit."""

import dataclasses
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import make_detector
from eddyline.transforms.devices.registry import read_registry
from eddyline.transforms.fleet import fleet_log
from eddyline.transforms.fleet.fleet import Fleet
from eddyline.transforms.fleet.fleet_codec import decode_fleet, encode_fleet, version_of
from eddyline.transforms.fleet.fleet_log import FleetLog, in_order
from eddyline.transforms.fleet.fleet_parts import FleetRefused
from eddyline.transforms.incidents.command import Command
from eddyline.transforms.incidents.known import Known
from eddyline.transforms.policy.policy import Rule, Silence

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_LOG = GOLDEN / "fleet_log_v1.bin"
SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
DEVICES = ("a", "b", "c", "ä")
ACTIONS = ("acknowledge", "confirmed", "false_alarm")


class Fixed:
    """A policy of one rule."""

    def __init__(self, rule):
        self.one = rule

    def rule(self, device, site, model):
        return self.one


def known(*expected, rule=None):
    rows = "".join(f"{device},true\n" for device in expected)
    registry = read_registry("d.csv", f"device_id,expected\n{rows}".encode(), [])
    return Known(registry, Fixed(rule or Rule()))


KNOWN = (
    known(),
    known("a", "z", "ä"),
    known("y", rule=Rule(quiet=60.0, silence=Silence(factor=2.0, minimum=30.0), reminders=(60.0,))),
)


@pytest.fixture(scope="module")
def new_fleet(contract, plain_detector, small_detector):
    def make(detector=None, remember=3):
        chosen = small_detector() if detector == "half_space_trees" else plain_detector
        return Fleet(contract, chosen, 10 * SECOND, remember)

    return make


@pytest.fixture
def all_in_the_log(monkeypatch):
    """No base is written but the first one."""
    monkeypatch.setattr(fleet_log, "SHARE", 2.0)
    monkeypatch.setattr(fleet_log, "LARGEST", 1e9)


class Written:
    """A fleet that is written after each step, and read back and compared."""

    def __init__(self, fleet, fresh, state, readings):
        self.fleet, self.fresh, self.state, self.readings = fleet, fresh, state, readings
        self.now = self.rows = 0
        self.known = KNOWN[0]
        self.incidents = []
        self.same()

    def log(self):
        return FleetLog(*self.state.cells)

    def same(self):
        """Write it; what is read back has its bytes, its timer, and its state's digest."""
        digest = self.log().write(self.fleet)
        assert self.log().digest == digest
        again = self.fresh()
        assert self.log().read(again) == 0
        assert encode_fleet(again) == encode_fleet(self.fleet)
        again.know(self.known)
        assert again.due() == self.fleet.due()
        return again

    def take(self, watched):
        self.incidents += watched.incidents.to_pylist()
        return self.same()

    def observe(self, rows):
        """Rows of a device, seconds from now, the values, and how many rows ago it was sent."""
        made = []
        for device, seconds, value, passed, ago in rows:
            self.now += max(seconds, 0)
            self.rows += ago == 0
            identity = max(self.rows - ago, 1)
            made.append((device, self.now + min(seconds, 0), identity, (value, passed)))
        return self.take(self.fleet.observe(self.readings(made)))

    def steady(self, device, step, number):
        return self.observe([(device, step, 0.0, 0, 0)] * number)

    def tell(self, ahead):
        self.fleet.tell(T0 + (self.now + ahead) * SECOND)
        return self.same()

    def advance(self, ahead):
        self.now += max(ahead, 0)
        return self.take(self.fleet.advance(T0 + (self.now + min(ahead, 0)) * SECOND))

    def control(self, device, action, which, ahead):
        time = T0 + (self.now + ahead) * SECOND
        told = self.incidents[-1 - which % len(self.incidents)] if self.incidents else None
        if told and device is None:
            command = Command(time, told["device_id"], told["incident_id"], action, told["kind"])
        else:
            command = Command(time, device or "a", "unknown", action, "event")
        return self.take(self.fleet.control([command]))

    def know(self, which):
        self.known = KNOWN[which]
        self.fleet.know(self.known)
        return self.same()

    def restart(self):
        """Another worker goes on from the state."""
        self.fleet = self.same()


STEPS = st.one_of(
    st.tuples(
        st.just("observe"),
        st.lists(
            st.tuples(
                st.sampled_from(DEVICES),
                st.sampled_from((0, 1, 4, 11, 60, 700, 4000, 90_000, -3, -40)),
                st.sampled_from((0.0, 1.0, 6.0, 20.0, 90.0, None)),
                st.sampled_from((0, 1, 3, 9, None)),
                st.sampled_from((0, 0, 0, 1, 5)),
            ),
            min_size=0,
            max_size=6,
        ),
    ),
    st.tuples(st.just("steady"), st.sampled_from(DEVICES), st.sampled_from((10, 61)), st.just(13)),
    st.tuples(st.just("tell"), st.sampled_from((0, 600, 9000))),
    st.tuples(st.just("advance"), st.sampled_from((-20, 0, 11, 300, 5000, 100_000))),
    st.tuples(
        st.just("control"),
        st.sampled_from((None, None, *DEVICES, "z")),
        st.sampled_from(ACTIONS),
        st.integers(0, 3),
        st.sampled_from((-500, 0, 5, 3000)),
    ),
    st.tuples(st.just("know"), st.integers(0, 2)),
    st.tuples(st.just("restart")),
)


@pytest.mark.parametrize(("detector", "examples"), [("plain", 50), ("half_space_trees", 12)])
@pytest.mark.parametrize("most_deltas", [3, 10**9])
def test_base_and_log_are_the_fleet_after_every_step(
    new_fleet, new_state, readings, all_in_the_log, monkeypatch, detector, examples, most_deltas
):
    monkeypatch.setattr(fleet_log, "MOST_DELTAS", most_deltas)

    @settings(max_examples=examples)
    @given(st.lists(STEPS, max_size=14))
    def check(steps):
        written = Written(new_fleet(detector), lambda: new_fleet(detector), new_state(), readings)
        for name, *arguments in steps:
            getattr(written, name)(*arguments)

    check()


@pytest.fixture
def written(new_fleet, new_state, readings, all_in_the_log):
    return Written(new_fleet(), new_fleet, new_state(), readings)


def told(written):
    return [(row["transition"], row["kind"]) for row in written.incidents]


def test_a_silence_its_reminder_and_its_end_are_in_the_log(written):
    written.steady("a", 61, 13)
    written.advance(11)
    written.tell(9000)
    written.advance(5000)
    written.advance(2000)
    assert told(written) == [("opened", "silent"), ("updated", "silent")]
    written.observe([("a", 0, 0.0, 0, 0)])
    written.advance(11)
    assert told(written)[2:] == [("resolved", "silent")]


def test_a_device_that_is_missing_and_then_no_longer_expected_is_in_the_log(written):
    written.know(1)
    written.tell(0)
    written.tell(20_000)
    written.advance(20_000)
    assert ("opened", "missing") in told(written)
    written.control(None, "acknowledge", 0, 0)
    written.advance(60)
    assert ("acknowledged", "missing") in told(written)
    written.know(0)
    written.observe([("b", 0, 0.0, 0, 0)])
    assert ("resolved", "missing") in told(written)


def test_a_new_normal_and_a_raise_that_decays_are_in_the_log(written):
    written.steady("a", 61, 13)
    written.observe([("a", 61, 30.0, 0, 0)] * 5)
    written.advance(11)
    assert told(written) == [("opened", "condition")]
    written.control(None, "acknowledge", 0, 0)
    written.observe([("a", 61, 30.0, 0, 0)] * 65)
    written.advance(11)
    base = written.fleet.models["base"].tolist()
    assert base == [30.0]
    written.observe([("a", 61, 30.0, 0, 0)] * 12)
    written.observe([("a", 61, 30.0, 9, 0), ("a", 61, 30.0, 0, 0)])
    written.advance(11)
    assert told(written)[-1] == ("opened", "event")
    written.control(None, "false_alarm", 0, 0)
    written.observe([("a", 61, 30.0, 0, 0), ("a", 90_000, 30.0, 0, 0)])
    written.advance(11)
    written.observe([("a", 90_000, 30.0, 0, 0)])
    written.advance(11)
    (troubles,) = written.fleet.casebook.troubles.values()
    assert troubles.raised["event"].days == 2


def test_a_new_normal_without_a_reading_beside_it_is_in_the_log(written):
    """It holds before a command of a later time, when no reading can come between."""
    written.steady("a", 61, 13)
    written.observe([("a", 61, 30.0, 0, 0)] * 5)
    written.advance(11)
    written.control(None, "acknowledge", 0, -5)
    written.observe([("a", 60, 30.0, 0, 0)] * 58)
    written.advance(11)
    written.control(None, "confirmed", 0, 200)
    assert written.fleet.models["base"].tolist() == [0.0]
    written.advance(400)
    assert written.fleet.models["base"].tolist() == [30.0]


def test_the_patience_with_readings_that_are_held_up_is_in_the_log(written):
    """Renewed when a reading comes that is not given to the model yet."""
    written.steady("a", 61, 13)
    written.advance(11)
    written.tell(9000)
    written.advance(5000)
    written.now -= 5000
    written.observe([("a", 61, 0.0, 0, 0), ("a", 11, 0.0, 0, 0)])
    held = written.fleet.casebook.cadence.held[0]
    assert held > 0
    written.fleet.tell(T0 + 50_000 * SECOND)
    written.observe([("a", 1, 0.0, 0, 0)])
    assert written.fleet.casebook.cadence.held[0] > held


# What is written, and when.


def filled(written, devices=40):
    """Devices whose base is larger than some deltas; all in order, and written."""
    for _ in range(3):
        written.observe([(f"d{n:02d}", 1, 0.0, 0, 0) for n in range(devices)])
    written.advance(11)
    written.fleet.changes.everything = True
    written.same()
    return written.state


def test_a_touch_writes_what_it_changed(new_fleet, new_state, readings):
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    base, log, mark = filled(written).cells
    whole = base.read()
    written.observe([("d03", 1, 0.0, 0, 0)])
    assert base.read() is whole
    (delta,) = log.read()
    assert len(delta) < len(whole) / 3
    assert len(mark.read()) < 50
    written.control("d03", "false_alarm", 0, 900)
    written.tell(500)
    assert base.read() is whole
    sizes = [len(delta) for delta in log.values]
    assert sizes[0] > sizes[1] > sizes[2] < 70  # of the last one only the stream's time is new


def test_the_base_is_written_when_the_log_would_become_larger(new_fleet, new_state, readings):
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    base, log, _ = filled(written).cells
    whole, largest = base.read(), 0
    while base.read() is whole:
        largest = sum(map(len, log.read()))
        written.observe([("d03", 1, 0.0, 0, 0)])
    assert len(whole) / 2 < largest <= len(whole)
    assert list(log.read()) == []


def test_the_base_is_written_where_most_models_change(new_fleet, new_state, readings):
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    base, log, _ = filled(written).cells
    for changed, logged in ((20, True), (21, False)):
        whole = base.read()
        written.observe([(f"d{n:02d}", 1, 0.0, 0, 0) for n in range(changed)])
        written.fleet.changes.judged[:changed] = True
        written.same()
        assert (base.read() is whole) == logged
        assert bool(list(log.read())) == logged


def test_the_base_is_written_when_the_log_is_long(new_fleet, new_state, readings, monkeypatch):
    monkeypatch.setattr(fleet_log, "MOST_DELTAS", 4)
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    _, log, _ = filled(written).cells
    lengths = []
    for _ in range(7):
        written.tell(1)
        lengths.append(len(list(log.read())))
    assert lengths == [1, 2, 3, 4, 0, 1, 2]


# State of other releases, and of other settings.


def test_an_old_state_is_a_base_without_a_log_and_is_written_whole_once(
    contract, small_detector, new_state, readings
):
    def fresh():
        return Fleet(contract, small_detector(), 10 * SECOND, 4)

    state = new_state()
    state.cells[0].write((GOLDEN / "fleet_v2.bin").read_bytes())
    fleet = fresh()
    assert FleetLog(*state.cells).read(fleet) == 0
    assert list(fleet.row) == ["a", "b-ä"]
    FleetLog(*state.cells).write(fleet)
    base, log, mark = state.cells
    assert version_of(base.read()) == 3
    again = fresh()
    FleetLog(*state.cells).read(again)
    assert encode_fleet(again) == encode_fleet(fleet)
    again.tell(T0 + 9000 * SECOND)
    FleetLog(*state.cells).write(again)
    assert len(list(log.read())) == 1
    assert mark.read()


def make_golden(written):
    """Write the golden bytes, once for a new version of delta or mark and then never again.

    Base, deltas and mark as a job wrote them, and the whole fleet that they are.
    """
    written.steady("a", 61, 13)
    written.steady("b", 61, 13)
    written.advance(11)
    written.fleet.changes.everything = True
    written.same()
    written.observe([("a", 61, 30.0, 0, 0), ("a", 61, 30.0, 0, 0), ("new-ä", 0, 1.0, None, 0)])
    written.control("b", "false_alarm", 0, 900)
    written.tell(20)
    base, log, mark = (list(cell.values) for cell in written.state.cells)
    whole = encode_fleet(written.fleet)
    GOLDEN_LOG.write_bytes(msgspec.msgpack.encode([*base, log, *mark, whole]))


def test_the_golden_log_of_version_1_is_read_for_ever(new_fleet, new_state):
    base, log, mark, whole = msgspec.msgpack.decode(GOLDEN_LOG.read_bytes())
    state = new_state()
    for cell, values in zip(state.cells, ([base], log, [mark]), strict=True):
        cell.values = values
    assert len(log) == 3
    fleet, expected = new_fleet(), new_fleet()
    assert FleetLog(*state.cells).read(fleet) == decode_fleet(whole, expected) == 0
    assert encode_fleet(fleet) == encode_fleet(expected)
    assert list(fleet.row) == ["a", "b", "new-ä"]
    assert fleet.waiting.readings.column("device_id").to_pylist() == ["a", "new-ä"]
    assert fleet.casebook.commands["b"][0].action == "false_alarm"
    assert fleet.casebook.troubles["a"].candidate or fleet.casebook.troubles["a"].value
    assert fleet.due() == expected.due()


def test_a_log_of_another_detector_is_learned_anew_and_written_whole(
    new_fleet, new_state, readings
):
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    base, log, _ = filled(written).cells
    written.observe([("d03", 11, 0.0, 0, 0), ("new", 1, 0.0, 0, 0)])
    other = new_fleet("half_space_trees")
    assert written.log().read(other) == 40  # the new one has no model yet
    assert other.admission.last_seen.tolist() == written.fleet.admission.last_seen.tolist()
    whole = base.read()
    other.tell(T0)
    written.log().write(other)
    assert base.read() is not whole
    assert list(log.read()) == []


def test_readings_in_the_log_outlast_a_change_of_the_channels(
    contract, plain_detector, new_fleet, new_state, readings, all_in_the_log
):
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    written.observe([("a", 1, 2.5, 7, 0), ("b", 1, 3.5, None, 0)])
    depth = dataclasses.replace(contract.channels[0], name="depth")
    changed = dataclasses.replace(contract, channels=(contract.channels[0], depth))
    channels = [Channel(c.name, c.minimum, c.maximum, c.kind) for c in changed.channels]
    fleet = Fleet(changed, make_detector("moving_average", channels), 10 * SECOND, 3)
    written.log().read(fleet)
    assert fleet.waiting.readings.column("temperature").to_pylist() == [2.5, 3.5]
    assert fleet.waiting.readings.column("depth").null_count == 2
    temperature = dataclasses.replace(contract.channels[0], kind="long")
    changed = dataclasses.replace(contract, channels=(temperature, *contract.channels[1:]))
    fleet = Fleet(changed, plain_detector, 10 * SECOND, 3)
    with pytest.raises(FleetRefused, match="type changed while readings wait"):
        written.log().read(fleet)


def test_another_memory_keeps_the_last_ids_of_base_and_log(new_fleet, new_state, readings):
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    filled(written)
    written.observe([("d03", 1, 0.0, 0, 0), ("d03", 1, 0.0, 0, 0)])
    ids = written.fleet.admission.recent[written.fleet.row["d03"]]
    for remember, copies in ((1, [0]), (2, [0, 1]), (9, [0, 1, 44, 84])):
        fleet = new_fleet(remember=remember)
        written.log().read(fleet)
        row = fleet.row["d03"]
        kept = fleet.admission.recent[row][: fleet.admission.admitted[row]]
        assert sorted(written.rows - kept) == copies if remember < 9 else set(ids) <= set(kept)


# Damage.


@pytest.fixture
def damaged(new_fleet, new_state, readings, all_in_the_log):
    """A state of a base and four deltas, and whether it is refused when it is changed."""
    written = Written(new_fleet(), new_fleet, new_state(), readings)
    for step in range(4):
        written.observe([("a", 1, 0.0, step, 0), ("b", 1, 0.0, step, 0)])
    return written


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda log: log[1:], "3 changes follow no state of this fleet"),
        (lambda log: (*log[:1], *log[2:]), "2 changes follow no state of this fleet"),
        (lambda log: log[:3], r"and 3 changes in place of one of \d+ and 4"),
        (lambda log: log[:0], r"and 0 changes in place of one of \d+ and 4"),
        (lambda log: (*log, log[2]), "two changes follow the same state"),
        (lambda log: (*log, b"EDFD"), "4 bytes are no changes of a fleet"),
        (lambda log: (*log, b"EDFD\2\0" + bytes(40)), r"begin with b'EDFD\\x02\\x00'"),
        (lambda log: (*log[:3], log[3][:-1]), "bytes of changes, truncated or damaged"),
    ],
)
def test_a_log_that_is_not_whole_is_refused(damaged, new_fleet, change, reason):
    log = damaged.state.cells[1]
    log.values = change(log.values)
    fleet = new_fleet()
    with pytest.raises(FleetRefused, match=reason):
        damaged.log().read(fleet)
    assert fleet.row == {}


def test_the_order_of_the_bag_does_not_matter(damaged, new_fleet):
    log = damaged.state.cells[1]
    log.values = tuple(log.values[at] for at in (2, 0, 3, 1))
    damaged.same()


def test_a_delta_that_was_cut_or_changed_anywhere_is_refused(damaged, new_fleet):
    log = damaged.state.cells[1].values

    @settings(max_examples=200)
    @given(st.data())
    def check(data):
        which = data.draw(st.integers(0, 3))
        at = data.draw(st.integers(0, len(log[which]) - 1))
        wrong = bytearray(log[which])
        wrong[at] ^= 1 << data.draw(st.integers(0, 7))
        for other in (bytes(wrong), log[which][:at], log[which] + b"\0"):
            damaged.state.cells[1].values = (*log[:which], other, *log[which + 1 :])
            with pytest.raises(FleetRefused):
                damaged.log().read(new_fleet())

    check()


@pytest.mark.parametrize(
    ("cell", "value", "reason"),
    [
        (0, None, "the changes of a fleet are there and the fleet is not"),
        (2, b"short", "5 bytes are no mark of a fleet"),
        (2, b"EDFM\2\0" + bytes(28), r"no mark of version 1: it begins with b'EDFM\\x02"),
        (2, b"EDFM\1\0" + bytes(28), "or not of the same ones"),
    ],
)
def test_a_base_or_a_mark_that_does_not_belong_there_is_refused(
    damaged, new_fleet, cell, value, reason
):
    damaged.state.cells[cell].values = () if value is None else (value,)
    with pytest.raises(FleetRefused, match=reason):
        damaged.log().read(new_fleet())


def test_a_base_of_another_attempt_is_refused(damaged, new_fleet):
    fleet = new_fleet()
    fleet.tell(T0)
    damaged.state.cells[0].write(encode_fleet(fleet))
    with pytest.raises(FleetRefused, match="4 changes follow no state of this fleet"):
        damaged.log().read(new_fleet())


def test_an_empty_log_is_in_order():
    assert in_order(7, []) == ([], 7)
