import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eddyline.detectors.counters import largest_size, pack, unpack, unpack_row
from eddyline.detectors.layout import Counters, Layout, bytes_of
from eddyline.detectors.protocol import RecordRefused
from eddyline.detectors.record import FRAME, MAGIC, RecordCodec, checksum, settings_hash

SETTINGS = settings_hash({"seed": 42})
LAYOUT = Layout(
    channels=2,
    channel=(("mean", "<f8"), ("seen", "<i8")),
    device=(("filled", "<u4"), ("windows", "<u4")),
    counters=(Counters("mass", (2, 3, 32), start=16),),
)
CODEC = RecordCodec("trees", SETTINGS, ("humidity", "temperature"), LAYOUT)
# Each side of every border between the sizes a counter can take.
COUNTS = (0, 0, 0, 1, 7, 191, 192, 447, 448, 16_319, 16_320, 65_535)


def fleet(devices=3, seed=0):
    rng = np.random.default_rng(seed)
    state = LAYOUT.new(devices)
    state["channel"]["mean"] = rng.normal(size=(devices, 2))
    state["channel"]["seen"] = rng.integers(0, 2**40, (devices, 2))
    state["filled"] = rng.integers(0, 2**32, devices)
    state["mass"][..., 16:] = rng.choice(COUNTS, (devices, 2, 3, 16))
    return state


def packed(counters):
    """The bytes of one group of counters, with the compiled kernel and with its source."""
    state = np.array(counters, "<u2").view(np.uint8)[None]
    out, ends = np.empty((2, largest_size(1, len(counters))), np.uint8), np.empty((2, 1), np.int64)
    for n, kernel in enumerate((pack, pack.py_func)):
        groups, rows = np.zeros(1, np.int64), np.zeros(1, np.int64)
        kernel(state, rows, 0, groups, len(counters), out[n], ends[n])
    assert ends[0] == ends[1]
    np.testing.assert_array_equal(out[0, : ends[0, 0]], out[1, : ends[0, 0]])
    return out[0, : ends[0, 0]].tobytes()


def unpacked(body, length):
    """One group of counters out of its bytes and whether they were well formed; both ways too."""
    state, good = np.zeros((2, 2 * length), np.uint8), np.zeros(1, np.bool_)
    groups, rows, ends = np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([len(body)])
    content = np.frombuffer(body, np.uint8)
    unpack(content, ends, state, rows, 0, groups, length, good)
    # The source, too, because it would not read behind the end without an error.
    end = unpack_row.py_func(content, state[1], 0, groups, length)
    assert good[0] == (end == len(body))
    np.testing.assert_array_equal(state[0], state[1])
    return state[0].view("<u2").tolist(), bool(good[0])


GROUPS = st.integers(1, 20).flatmap(
    lambda blocks: st.lists(
        st.sampled_from(COUNTS) | st.integers(0, 65_535), min_size=8 * blocks, max_size=8 * blocks
    )
)


@given(GROUPS)
@example([65_535] * 160)
@example([0] * 64)
def test_counters_come_back_as_they_were(counters):
    assert unpacked(packed(counters), len(counters)) == (counters, True)


def test_counters_take_the_bytes_the_format_says():
    assert packed([0] * 256) == bytes(4)
    assert packed([0] * 63 + [5]) == bytes([0x80, 0x80, 5])
    assert packed([192, 16_319, 0, 0, 0, 0, 0, 65_535]) == bytes(
        [0x01, 0x83, 192, 0, 254, 255, 255, 255, 255]
    )


@given(GROUPS, st.data())
def test_no_part_of_a_group_is_taken_for_a_whole_one(counters, data):
    body = packed(counters)
    cut = data.draw(st.integers(0, len(body) - 1))
    assert not unpacked(body[:cut], len(counters))[1]
    assert not unpacked(body + b"\1", len(counters))[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\1",  # a block is said to be there
        b"\1\0",  # none of its counters is
        b"\1\1",
        b"\1\1\0",  # a counter that is there is not zero
        b"\1\1\xc0",
        b"\1\1\xff\1",
        b"\1\1\xff\0\0",
        b"\1\1\5\5",
    ],
)
def test_a_malformed_group_is_not_good(body):
    assert not unpacked(body, 8)[1]


@given(st.binary(max_size=400), st.sampled_from([8, 64, 72]))
def test_any_bytes_are_read_without_leaving_them(body, length):
    counters, good = unpacked(body, length)
    if good:
        # Not every count that is read is written so short (192 as 255, 192, 0), but none is lost.
        assert unpacked(packed(counters), length) == (counters, True)


@given(st.integers(0, 2**32 - 1))
def test_a_fleet_comes_back_bit_equal(seed):
    state = fleet(4, seed)
    records = CODEC.encode_many(state)
    assert records == [CODEC.encode(state, row) for row in range(4)]
    back = LAYOUT.new(4)
    back[:] = fleet(4, seed + 1)
    assert CODEC.decode_many(records, back) == {}
    assert back.tobytes() == state.tobytes()


def test_any_rows_go_to_any_rows():
    state, back = fleet(4), LAYOUT.new(6)
    records = CODEC.encode_many(state, (3, 1))
    assert CODEC.decode_many(records, back, (5, 0)) == {}
    assert back[[5, 0]].tobytes() == state[[3, 1]].tobytes()
    assert back[[1, 2, 3, 4]].tobytes() == LAYOUT.new(4).tobytes()


def test_a_fleet_of_more_rows_than_are_packed_at_once_comes_back():
    state = fleet(600)
    back = LAYOUT.new(600)
    assert CODEC.decode_many(CODEC.encode_many(state), back) == {}
    assert back.tobytes() == state.tobytes()


def test_no_rows_are_no_records():
    assert CODEC.encode_many(LAYOUT.new(0)) == []
    assert CODEC.decode_many([], LAYOUT.new(2)) == {}


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_outside_the_fleet_is_an_error(row):
    with pytest.raises(IndexError):
        CODEC.encode(fleet(3), row)
    with pytest.raises(IndexError):
        CODEC.decode(CODEC.encode(fleet(3), 0), fleet(3), row)


def framed(content):
    return FRAME.pack(MAGIC, 1, FRAME.size + len(content), checksum(content)) + content


GOOD = CODEC.encode(fleet(), 0)
CONTENT = GOOD[FRAME.size :]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "truncated"),
        (b"EDD", "truncated"),
        (GOOD[:10], "truncated"),
        (GOOD[:-1], "truncated"),
        (b"PK\3\4" + GOOD[4:], "foreign"),
        (GOOD + b"\0", "corrupt"),
        (GOOD[:5] + struct.pack("<I", len(GOOD) - 1) + GOOD[9:], "corrupt"),
        (GOOD[:4] + b"\2" + GOOD[5:], "version"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "corrupt"),
        (framed(b""), "corrupt"),
        (framed(CONTENT[:12]), "corrupt"),
        (framed(CONTENT[:-1]), "corrupt"),
        (framed(CONTENT + b"\1"), "corrupt"),
        (framed(CONTENT.replace(b"trees", b"forks")), "detector"),
        (framed(bytes(8) + CONTENT[8:]), "settings"),
    ],
)
def test_a_record_that_is_not_ours_is_refused_with_its_reason(record, reason):
    state = fleet()
    kept = state[[0, 2]].tobytes()
    with pytest.raises(RecordRefused) as refused:
        CODEC.decode(record, state, 1)
    assert refused.value.reason == reason
    assert state[1].tobytes() == LAYOUT.new(1).tobytes()
    assert state[[0, 2]].tobytes() == kept


def test_one_refused_record_leaves_the_others():
    records = CODEC.encode_many(fleet())
    state = fleet(3, seed=9)
    refused = CODEC.decode_many([records[0], records[1][:-3], records[2]], state)
    assert {place: refusal.reason for place, refusal in refused.items()} == {1: "truncated"}
    assert state[[0, 2]].tobytes() == fleet()[[0, 2]].tobytes()
    assert state[1].tobytes() == LAYOUT.new(1).tobytes()


def test_a_model_of_other_channels_is_refused():
    other = RecordCodec("trees", SETTINGS, ("humidity", "pressure"), LAYOUT)
    with pytest.raises(RecordRefused) as refused:
        other.decode(GOOD, fleet(), 0)
    assert refused.value.reason == "channels"


def kept_codec(*channels):
    layout = Layout(len(channels), LAYOUT.channel, LAYOUT.device, LAYOUT.counters)
    return RecordCodec("trees", SETTINGS, channels, layout, keep_channels=True)


def test_channels_in_common_keep_their_fields_where_the_detector_says_so():
    state = fleet()
    codec = kept_codec("temperature", "pressure", "humidity")
    back = codec.layout.new(1)
    back["channel"]["mean"] = 1.5
    codec.decode(CODEC.encode(state, 1), back, 0)
    was, now = state["channel"][1], back["channel"][0]
    assert now[[2, 0]].tobytes() == was.tobytes()
    assert now[1].tobytes() == np.zeros((), now.dtype).tobytes()
    assert back["filled"][0] == state["filled"][1]
    assert not back["mass"].any()


def test_fields_that_do_not_belong_to_the_channels_are_corrupt():
    tags_at = 8 + 1 + len("trees")
    fewer = CONTENT[:tags_at] + struct.pack("<H", 1) + CONTENT[tags_at + 2 : tags_at + 6]
    codec = kept_codec("temperature")
    with pytest.raises(RecordRefused) as refused:
        codec.decode(framed(fewer + bytes(7)), codec.layout.new(1), 0)
    assert refused.value.reason == "corrupt"


@pytest.mark.parametrize(
    "fields",
    [
        {"counters": (Counters("mass", (2, 12)),)},
        {"counters": (Counters("mass", (8,)), Counters("more", (16,)))},
        {"channel": (("flag", "<u1"), ("mean", "<f8"))},
        {"channels": 2, "channel": (("flag", "<u4"), ("mean", "<f8"))},
        {"device": (("count", "<u4"),)},
    ],
)
def test_a_layout_that_compiled_code_could_not_read_is_refused(fields):
    with pytest.raises(ValueError, match="layout"):
        Layout(**{"channels": 1, "channel": (("mean", "<f8"),), **fields})


def test_a_fleet_and_its_bytes_share_their_memory():
    state = fleet(2)
    bytes_of(state)[1] = 0
    assert state[1].tobytes() == LAYOUT.new(1).tobytes()
