import dataclasses
import logging
import struct
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from eddyline.detectors.channel import Channel
from eddyline.detectors.registry import make_detector
from eddyline.transforms.fleet.fleet import END_OF_TIME, Fleet
from eddyline.transforms.fleet.fleet_codec import VERSION, decode_fleet, encode_fleet
from eddyline.transforms.fleet.fleet_parts import FleetRefused
from eddyline.transforms.incidents.command import Command

GOLDEN = {v: Path(__file__).parents[1] / "golden" / f"fleet_v{v}.bin" for v in (1, 2, 3)}
SECOND = 1_000_000
T0 = 1_767_312_000 * SECOND
HEADER = struct.Struct("<4sHQ")
SIZES = struct.Struct("<III")


def rows(start, end):
    """Three devices, every second one; "c" comes every 12 s only, "a" has two at one time."""
    made = []
    for t in range(start, end):
        made.append(("a", t, 3 * t, (20.0 + t % 3, t % 5, t % 2 == 0)))
        made.append(("b-ä", t + 0.25, 3 * t + 1, (None, 2**60 + t, None)))
        if t % 12 == 0:
            made.append(("c", t, 3 * t + 2, (30.0 + t % 7 / 4, None, True)))
    return made


@pytest.fixture(scope="session")
def new_fleet(contract, small_detector):
    def make(remember=4, detector=None, changed=None):
        detector = detector or small_detector()
        return Fleet(changed or contract, detector, 10 * SECOND, remember)

    return make


@pytest.fixture(scope="session")
def first_half(new_fleet, readings):
    """A fleet in the middle of its work: 3 models, of them 2 ready, and readings that wait."""
    fleet = new_fleet()
    fleet.observe(readings(rows(0, 60)))
    return fleet


@pytest.fixture(scope="session")
def troubled(new_fleet, readings):
    """A fleet with an open incident, one resolved, a raised threshold, and commands that wait."""
    fleet = new_fleet()
    fleet.tell(T0)
    fleet.tell(T0 + 5000 * SECOND)
    told = fleet.observe(readings(trouble(0, 1000))).incidents.to_pylist()
    told += fleet.observe(readings(trouble(1000, 2000), at=1000)).incidents.to_pylist()
    first = told[0]["incident_id"]
    fleet.control(
        [
            Command(T0 + 1000 * SECOND, "a", first, "false_alarm", by="ann"),
            Command(T0 + 9000 * SECOND, "a", first, "confirmed"),
        ]
    )
    fleet.advance(T0 + 4000 * SECOND)
    return fleet


def trouble(start, end):
    """Readings of which the small detector finds some unusual; "b-ä" falls silent at 1,500."""
    made = []
    for t in range(start, end, 10):
        odd = 80.0 if t % 700 in (650, 660) else 20.0 + t % 3
        made.append(("a", t, 3 * t, (odd, t % 5, t % 20 == 0)))
        if t < 1500:
            made.append(("b-ä", t, 3 * t + 1, (20.0 + t % 7, 7, None)))
    return made


def second_half(fleet, readings):
    watched = [fleet.observe(readings(rows(58, 90), at=1000)), fleet.advance(END_OF_TIME)]
    scored = [row for w in watched for row in w.scored.to_pylist()]
    return repr(scored), repr([w.anomalies.to_pylist() for w in watched]), watched[0].duplicates


def make_golden(troubled):
    """Write the golden bytes, once for a new VERSION and then never again.

    They are `encode_fleet` of `troubled` (version 1: of `first_half`): what a job wrote whose state
    must still be read.
    """
    GOLDEN[VERSION].write_bytes(encode_fleet(troubled))


def parts(state):
    """The batch of devices, and the bytes of what waits, and of the casebook."""
    content = state[HEADER.size + SIZES.size :]
    size, waiting, _ = SIZES.unpack_from(state, HEADER.size)
    devices = pa.ipc.open_stream(content[:size]).read_next_batch()
    return devices, content[size : size + waiting], content[size + waiting :]


def state_of(devices, waiting, cases):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, devices.schema) as writer:
        writer.write_batch(devices)
    encoded = sink.getvalue().to_pybytes()
    sizes = SIZES.pack(len(encoded), len(waiting), len(cases))
    content = sizes + encoded + waiting + cases
    return HEADER.pack(b"EDFL", VERSION, xxh3_64_intdigest(content)) + content


def with_models(state, change):
    devices, *rest = parts(state)
    at = devices.schema.get_field_index("model")
    models = [change(row, model) for row, model in enumerate(devices.column(at).to_pylist())]
    return state_of(devices.set_column(at, devices.field(at), pa.array(models, pa.binary())), *rest)


@pytest.mark.parametrize("version", [2, 3])
def test_the_golden_bytes_of_versions_with_a_casebook_decode_for_ever(new_fleet, troubled, version):
    fleet = new_fleet()
    assert decode_fleet(GOLDEN[version].read_bytes(), fleet) == 0
    book, expected = fleet.casebook, troubled.casebook
    assert (book.stream, book.began) == (T0 + 5000 * SECOND, T0)
    assert book.troubles == expected.troubles
    assert book.commands == expected.commands
    assert {"a", "b-ä"} <= set(book.troubles)
    assert book.troubles["b-ä"].silence.kind == "silent"
    assert book.troubles["a"].closed or book.troubles["a"].open
    assert book.troubles["a"].raised
    for one, other in zip(book.cadence, expected.cadence, strict=True):
        assert one.tolist() == other.tolist()
    for name in ("thresholds", "factor", "minimum", "wake", "change", "remind", "recent"):
        assert getattr(book, name).tolist() == getattr(expected, name).tolist(), name
    assert encode_fleet(fleet) == encode_fleet(troubled)


def test_the_golden_bytes_of_version_1_decode_for_ever(new_fleet, readings):
    fleet = new_fleet()
    assert decode_fleet(GOLDEN[1].read_bytes(), fleet) == 0
    assert fleet.casebook.cadence.gaps.tolist() == [0, 0, 0]
    assert list(fleet.row) == ["a", "b-ä", "c"]
    assert len(fleet.waiting) == 23
    # The fleet goes on as the one that wrote them would have.
    unbroken = new_fleet()
    unbroken.observe(readings(rows(0, 60)))
    assert second_half(fleet, readings) == second_half(unbroken, readings)


def test_a_fleet_goes_on_from_its_bytes_bit_for_bit(new_fleet, first_half, readings):
    again, unbroken = new_fleet(), new_fleet()
    unbroken.observe(readings(rows(0, 60)))
    assert decode_fleet(encode_fleet(first_half), again) == 0
    assert encode_fleet(again) == encode_fleet(first_half)
    assert again.due() == first_half.due()
    found = second_half(again, readings)
    assert found == second_half(unbroken, readings)
    assert found[2] == 4  # "a" and "b-ä" at 58 and 59


def test_an_empty_fleet_survives(new_fleet):
    again = new_fleet()
    assert decode_fleet(encode_fleet(new_fleet()), again) == 0
    assert again.row == {}
    assert again.due() is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (b"", "0 bytes are no fleet"),
        (b"EDFL\1\0", "6 bytes are no fleet"),
        (b"PAR1" + bytes(40), "no fleet of version 1 to 3: it begins with b'PAR1"),
        (HEADER.pack(b"EDFL", 4, 0), r"no fleet of version 1 to 3: it begins with b'EDFL\\x04"),
        (HEADER.pack(b"EDFL", 1, 0) + b"something", "23 bytes, truncated or damaged"),
        (HEADER.pack(b"EDFL", 1, 0), "14 bytes, truncated or damaged"),
    ],
)
def test_what_is_no_fleet_is_refused_with_its_reason(new_fleet, state, reason):
    with pytest.raises(FleetRefused, match=reason):
        decode_fleet(state, new_fleet())


@settings(max_examples=200)
@given(st.data())
def test_a_fleet_that_was_cut_or_changed_anywhere_is_refused(new_fleet, first_half, data):
    state = encode_fleet(first_half)
    at = data.draw(st.integers(0, len(state) - 1))
    changed = bytearray(state)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    for wrong in (state[:at], bytes(changed), state + state[:1]):
        fleet = new_fleet()
        with pytest.raises(FleetRefused):
            decode_fleet(wrong, fleet)
        assert fleet.row == {}


def test_one_damaged_model_warms_up_again_and_the_others_go_on(
    new_fleet, first_half, readings, caplog
):
    def damage(row, model):
        return model[:-1] + bytes([model[-1] ^ 1]) if row == 0 else model

    fleet, unbroken = new_fleet(), new_fleet()
    unbroken.observe(readings(rows(0, 60)))
    with caplog.at_level(logging.WARNING):
        assert decode_fleet(with_models(encode_fleet(first_half), damage), fleet) == 1
    assert caplog.messages == ["1 devices learn anew: corrupt"]
    found = fleet.observe(readings(rows(60, 75))).scored.to_pylist()
    expected = unbroken.observe(readings(rows(60, 75))).scored.to_pylist()
    assert [r["reading_id"] for r in found] == [r["reading_id"] for r in expected]
    verdicts = [r["verdict"] for r in found if r["device_id"] == "a"]
    assert verdicts[:8] == ["WARM_UP"] * 8
    assert "WARM_UP" not in verdicts[8:]
    assert repr([r for r in found if r["device_id"] != "a"]) == repr(
        [r for r in expected if r["device_id"] != "a"]
    )


def test_another_detector_learns_anew_and_keeps_order_and_copies(
    new_fleet, first_half, small_detector, readings
):
    fleet = new_fleet(detector=small_detector("moving_average"))
    assert decode_fleet(encode_fleet(first_half), fleet) == 3
    watched = fleet.observe(readings([("a", 59, 177), ("a", 40, -1), ("a", 59, -2)]))
    assert watched.duplicates == 1
    assert watched.scored.column("verdict").to_pylist() == ["LATE"]


@pytest.mark.parametrize("remember", [1, 2, 9])
def test_another_memory_keeps_the_last_ids_that_fit(new_fleet, first_half, readings, remember):
    fleet = new_fleet(remember)
    decode_fleet(encode_fleet(first_half), fleet)
    again = [row for row in rows(50, 60) if row[0] == "a"]
    last_first = list(reversed(again))
    assert fleet.observe(readings(last_first[: min(remember, 4)])).duplicates == min(remember, 4)
    assert fleet.observe(readings([last_first[4]])).duplicates == 0


def test_readings_that_wait_outlast_a_change_of_the_channels(contract, first_half, readings):
    """A new channel is null in them, one that is no longer declared is left out."""
    depth = dataclasses.replace(contract.channels[0], name="depth")
    changed = dataclasses.replace(contract, channels=(contract.channels[0], depth))
    channels = [Channel(c.name, c.minimum, c.maximum, c.kind) for c in changed.channels]
    fleet = Fleet(changed, make_detector("moving_average", channels), 10 * SECOND, 4)
    assert decode_fleet(encode_fleet(first_half), fleet) == 3
    scored = fleet.advance(END_OF_TIME).scored
    assert scored.num_rows == len(first_half.waiting)
    assert scored.column("depth").null_count == scored.num_rows
    assert scored.column("temperature").null_count < scored.num_rows
    assert "passed" not in scored.schema.names


def test_a_device_taken_into_another_fleet_goes_on_there(new_fleet, first_half, readings):
    devices, _, cases = parts(encode_fleet(first_half))
    fleet = new_fleet()
    assert decode_fleet(state_of(devices.slice(2, 1), b"", cases), fleet) == 0
    assert list(fleet.row) == ["c"]
    row = first_half.row["c"]
    record = first_half.detector.encode(first_half.models, row)
    assert fleet.detector.encode(fleet.models, 0) == record
    assert fleet.admission.last_seen[0] == first_half.admission.last_seen[row]


def test_readings_that_wait_for_another_type_of_channel_are_not_bent_to_it(contract, first_half):
    temperature = dataclasses.replace(contract.channels[0], kind="long")
    changed = dataclasses.replace(contract, channels=(temperature, *contract.channels[1:]))
    channels = [Channel(c.name, c.minimum, c.maximum, c.kind) for c in changed.channels]
    fleet = Fleet(changed, make_detector("moving_average", channels), 10 * SECOND, 4)
    with pytest.raises(FleetRefused, match="type changed while readings wait"):
        decode_fleet(encode_fleet(first_half), fleet)
