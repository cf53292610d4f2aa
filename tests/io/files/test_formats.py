"""CSV, Parquet and Avro as messages: each row once, whatever is in it, whatever breaks."""

import csv
import gzip
import io
import json
import math
import tracemalloc
import zlib
from datetime import UTC, datetime

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from apache_beam.io.localfilesystem import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.files import avro_blocks as avro
from eddyline.io.files.contents import contents
from eddyline.io.files.csv_rows import csv_rows
from eddyline.io.files.kinds import Kinds, kinds_of
from eddyline.schemas.message import messages_of
from eddyline.schemas.record import load_contract
from eddyline.schemas.unreadable import unreadable
from eddyline.transforms.decode import Decoder
from eddyline.transforms.decoding.payload import PayloadParser

CONTRACT = load_contract("room")
ROOM = kinds_of(CONTRACT)
TIME = 1_767_312_000_000_000
DECODER = Decoder(CONTRACT, PayloadParser(CONTRACT))


def batches(path, rows=500):
    return list(contents(str(path), TIME, rows, ROOM))


def read(path, rows=500):
    return [message for batch in batches(path, rows) for message in messages_of(batch)]


def decoded(path):
    """The readings and dead letters that become of a file."""
    readings, letters = [], []
    for batch in batches(path):
        for result in DECODER.decode(batch):
            readings += result.readings.to_pylist()
            letters += result.dead_letters.to_pylist()
    return readings, letters


def rows_of(content, kinds=ROOM):
    return list(csv_rows(io.BytesIO(content), kinds))


# CSV


def test_a_csv_row_is_a_reading_of_the_schemas_types(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "\ufeffdevice_id, event_time ,temperature,humidity,floor\r\n"
        '007,2026-01-01T00:00:00Z,21.50,40,"3, ""east""\nwing"\r\n'
        "8,1767225605000, -1e1 ,,\r\n"
        "\r\n"
        "9,1767225605,+5,.5,\u00fc\r\n",
        newline="",
        encoding="utf-8",
    )
    readings, letters = decoded(path)
    assert letters == []
    assert [row["device_id"] for row in readings] == ["007", "8", "9"]
    assert [row["temperature"] for row in readings] == [21.5, -10.0, 5.0]
    assert [row["humidity"] for row in readings] == [40.0, None, 0.5]
    assert [row["pressure"] for row in readings] == [None] * 3
    assert json.loads(readings[0]["attributes"]) == {"floor": '3, "east"\nwing'}
    assert json.loads(readings[2]["attributes"]) == {"floor": "ü"}
    assert readings[0]["event_time"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert [row["position"] for row in readings] == [f"{n:012d}" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"1,2", "2 fields, and 3 columns"),
        (b"1,2,3,4", "4 fields, and 3 columns"),
        (b'1,"2"x,3', "expected after"),
        (b"1,\xff,3", "utf-8"),
        (b"1," + b"x" * 140_000 + b",3", "field larger"),
    ],
)
def test_a_bad_row_costs_itself_only(row, words):
    rows = rows_of(b"a,b,c\n1,2,3\n" + row + b"\n4,5,6\n")
    assert [row.number for row in rows] == [1, 2, 3]
    assert [json.loads(rows[n].payload) for n in (0, 2)] == [
        {"a": "1", "b": "2", "c": "3"},
        {"a": "4", "b": "5", "c": "6"},
    ]
    why, told = unreadable(rows[1].attributes)
    assert why == "bad_row"
    assert words in told
    assert rows[1].payload == row


def test_a_quote_that_is_left_open_does_not_swallow_the_file():
    content = b'a,b\n1,"2\n' + b"3,4\n" * 100_000
    rows = rows_of(content)
    bad = [row for row in rows if row.attributes]
    assert [row.number for row in bad] == [1]
    assert len(bad[0].payload) < 200_000
    kept = sum(json.loads(row.payload) == {"a": "3", "b": "4"} for row in rows if row not in bad)
    assert kept + bad[0].payload.count(b"3,4") == 100_000


def test_a_row_that_never_ends_is_cut():
    content = b'"x\n",' * 400_000 + b"\n1,2"
    rows = rows_of(b"a,b\n" + content)
    assert max(len(row.payload) for row in rows) <= 2**20 + 10
    assert b"\n".join(row.payload for row in rows) == content
    assert all(unreadable(row.attributes) for row in rows)


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1_000", "0x10", "twelve", "1,5"])
def test_what_is_no_number_is_refused_by_name_and_not_taken_for_missing(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(f'device_id;ts;temperature\na;1767225605;"{text}"\n')
    readings, [letter] = decoded(path)
    assert readings == []
    assert (letter["stage"], letter["path"]) == ("decode", "$.temperature")


@pytest.mark.parametrize("first", ["a,,c", "a,b,a", '"a', "a,\udcff"])
def test_a_first_row_that_names_no_columns_refuses_the_file(tmp_path, first):
    path = tmp_path / "a.csv"
    path.write_bytes(first.encode("utf-8", "surrogateescape") + b"\n1,2,3\n")
    [message] = read(path)
    why, words = unreadable(message.attributes)
    assert why == "damaged_file"
    assert "does not name the columns" in words


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,b\n", "\ufeff".encode()])
def test_a_csv_file_without_rows_has_no_messages(content):
    assert rows_of(content) == []


def test_booleans_are_read_as_booleans():
    kinds = Kinds(frozenset(), frozenset(), frozenset({"open"}))
    rows = rows_of(b"open\tn\nTrue\t1\n0\t2\nmaybe\t3\n", kinds)
    values = [json.loads(row.payload)["open"] for row in rows]
    assert values == [True, False, "maybe"]


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))
TABLE = st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=6)


@given(TABLE)
def test_what_csv_writes_is_read_back(table):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *table])
    found = [json.loads(row.payload) for row in rows_of(text.getvalue().encode())]
    expected = [
        {name: value for name, value in zip("abc", row, strict=True) if value} for row in table
    ]
    assert found == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_some_rows(content):
    header = b"a,b\n"
    for row in rows_of(header + content):
        assert row.attributes or json.loads(row.payload) is not None


def test_a_truncated_csv_file_keeps_the_row_in_which_it_breaks_off(tmp_path):
    whole = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n) for n in range(5_000))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(whole)[:-500])
    *rows, mark = read(path)
    assert unreadable(mark.attributes)[0] == "damaged_file"
    numbers = [json.loads(row.payload)["a"] for row in rows]
    assert numbers == [f"{n}" for n in range(len(rows))]
    assert whole.find(mark.payload) > 0 or not mark.payload


# Parquet


def parquet(path, columns, **more):
    pq.write_table(pa.table(columns), path, **more)


def test_a_parquet_row_is_a_reading(tmp_path):
    path = tmp_path / "a.parquet"
    times = pa.array([TIME, TIME + 1], pa.timestamp("us", "UTC"))
    columns = {
        "device_id": pa.array([7, 8]),
        "ts": times,
        "temperature": pa.array([21.5, None], pa.float32()),
        "humidity": pa.array(["a", "b"]).dictionary_encode(),
        "site": [{"floor": 1}, None],
    }
    parquet(path, columns)
    messages = read(path)
    assert [json.loads(m.payload) for m in messages] == [
        {
            "device_id": "7",
            "ts": "2026-01-02T00:00:00Z",
            "temperature": 21.5,
            "humidity": "a",
            "site": {"floor": 1},
        },
        {"device_id": "8", "ts": "2026-01-02T00:00:00.000001Z", "humidity": "b"},
    ]
    assert [m.position for m in messages] == ["000000000001", "000000000002"]
    parquet(path, {**columns, "humidity": [40, 41]})
    readings, letters = decoded(path)
    assert (len(readings), letters) == (2, [])


def test_times_in_nanoseconds_and_integers_are_times(tmp_path):
    path = tmp_path / "a.parquet"
    nanos = pa.array([TIME * 1000 + 999], pa.timestamp("ns", "Europe/Berlin"))
    parquet(path, {"device_id": ["a"], "event_time": nanos, "temperature": [1.0]})
    [reading], [] = decoded(path)
    assert reading["event_time"] == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused_and_not_guessed(tmp_path):
    path = tmp_path / "a.parquet"
    parquet(path, {"device_id": ["a"], "event_time": pa.array([TIME], pa.timestamp("us"))})
    [], [letter] = decoded(path)
    assert letter["reason"] == "bad_event_time"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused_and_not_taken_for_missing(tmp_path, value):
    path = tmp_path / "a.parquet"
    columns = {"device_id": ["a", "a"], "ts": [1767225605, 1767225606], "temperature": [value, 3]}
    parquet(path, {**columns, "temperature": pa.array([value, 3.0])})
    [reading], [letter] = decoded(path)
    assert reading["temperature"] == 3
    assert letter["path"] == "$.temperature"


def test_rows_before_a_damaged_page_are_kept(tmp_path):
    path = tmp_path / "a.parquet"
    values = pa.array([f"{n:030d}" for n in range(20_000)])
    parquet(path, {"n": values}, row_group_size=2_000, use_dictionary=False, compression="snappy")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 30_000] = b"\xff" * 30_000
    path.write_bytes(content)
    *rows, mark = read(path)
    assert unreadable(mark.attributes)[0] == "damaged_file"
    assert len(rows) >= 4_000
    assert [json.loads(m.payload)["n"] for m in rows] == [f"{n:030d}" for n in range(len(rows))]
    assert mark.position == f"{len(rows) + 1:012d}"


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda _: b"", lambda _: b"PAR1" * 9]
)
def test_a_damaged_footer_is_one_mark(tmp_path, damage):
    path = tmp_path / "a.parquet"
    parquet(path, {"n": list(range(100))})
    path.write_bytes(damage(path.read_bytes()))
    [mark] = read(path)
    assert "no Parquet" in unreadable(mark.attributes)[1]


@given(st.integers(0, 900), st.integers(0, 255))
def test_any_changed_byte_gives_rows_or_a_mark(tmp_path_factory, at, byte):
    path = tmp_path_factory.mktemp("p") / "a.parquet"
    parquet(path, {"n": list(range(100)), "m": ["x"] * 100})
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content)
    for message in read(path):
        assert message.payload or unreadable(message.attributes)


def test_a_packed_parquet_file_is_one_mark(tmp_path):
    path = tmp_path / "a.parquet.gz"
    path.write_bytes(b"")
    [mark] = read(path)
    assert "unpack it" in unreadable(mark.attributes)[1]


# Avro

SCHEMA = {
    "type": "record",
    "name": "room",
    "fields": [
        {"name": "device_id", "type": "string"},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "temperature", "type": ["null", "double"]},
    ],
}


def records(first, last):
    return [
        {"device_id": f"d{n % 7}", "event_time": TIME + n, "temperature": None if n % 5 else 20.5}
        for n in range(first, last)
    ]


def container(path, rows, codec="null", **more):
    with path.open("wb") as file:
        fastavro.writer(file, SCHEMA, rows, codec=codec, **more)


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2"])
def test_avro_records_are_readings_whatever_the_codec(tmp_path, codec):
    path = tmp_path / "a.avro"
    container(path, records(0, 3_000), codec, sync_interval=2_000)
    readings, letters = decoded(path)
    assert letters == []
    assert [row["event_time"] for row in readings] == [
        datetime.fromtimestamp((TIME + n) / 1e6, UTC) for n in range(3_000)
    ]
    assert [row["temperature"] for row in readings[:6]] == [20.5, None, None, None, None, 20.5]
    positions = [message.position for message in read(path)]
    assert len(positions) > 5
    assert positions == sorted(set(positions))


def repacked(path, codec, pack):
    """The file with its one block packed by a codec that fastavro has not here."""
    content = path.read_bytes().replace(b"\x08null", bytes([2 * len(codec)]) + codec)
    sync = content[-16:]
    head, block, _ = content.split(sync)
    reader = avro._Bytes(io.BytesIO(block))
    count, body = reader.long(), reader.bytes(2**20)
    packed = pack(body)
    path.write_bytes(head + sync + avro._long(count) + avro._long(len(packed)) + packed + sync)


def snappy(body):
    packed = pa.Codec("snappy").compress(body, asbytes=True)
    return packed + zlib.crc32(body).to_bytes(4, "big")


def zstd(body):
    return zstandard.ZstdCompressor().compress(body)


@pytest.mark.parametrize(("codec", "pack"), [(b"snappy", snappy), (b"zstandard", zstd)])
def test_snappy_and_zstandard_blocks_are_unpacked(tmp_path, codec, pack):
    path = tmp_path / "a.avro"
    container(path, records(0, 50))
    repacked(path, codec, pack)
    readings, letters = decoded(path)
    assert (len(readings), letters) == (50, [])
    repacked_damaged = bytearray(path.read_bytes())
    repacked_damaged[-40] ^= 0xFF
    path.write_bytes(repacked_damaged)
    [mark] = read(path)
    assert "damaged block" in unreadable(mark.attributes)[1]


def test_a_snappy_bomb_is_refused():
    with pytest.raises(ValueError, match="bytes unpacked"):
        avro._unsnappy(b"\xff\xff\xff\xff\x0f" + bytes(20))


def test_blocks_before_a_damaged_one_are_kept(tmp_path):
    path = tmp_path / "a.avro"
    container(path, records(0, 3_000), "deflate", sync_interval=2_000)
    path.write_bytes(path.read_bytes()[:-100])
    *blocks, mark = read(path)
    assert unreadable(mark.attributes) == ("damaged_file", f"{path}: truncated")
    readings, [letter] = decoded(path)
    assert letter["stage"] == "read"
    assert len(readings) > 2_000
    assert len(blocks) > 5


@given(st.binary(max_size=100))
def test_any_bytes_behind_a_header_are_some_blocks_or_damage(rest):
    file = io.BytesIO()
    fastavro.writer(file, SCHEMA, [])
    whole = io.BytesIO(file.getvalue() + rest)
    try:
        assert all(row.payload.startswith(b"Obj\x01") for row in avro.avro_blocks(whole))
    except avro.Damaged:
        assert rest


def test_an_unknown_codec_is_told(tmp_path):
    path = tmp_path / "a.avro"
    container(path, records(0, 5))
    path.write_bytes(path.read_bytes().replace(b"\x08null", b"\x0ebrotli9"))
    [mark] = read(path)
    assert "codec" in unreadable(mark.attributes)[1]


# All


def test_large_files_are_read_in_bounded_memory(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + (b"1" * 1_000 + b",67890\n") * 8_000)
    tracemalloc.start()
    count = sum(batch.num_rows for batch in contents(str(path), TIME, 500, ROOM))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 8_000
    assert peak < 5 * 2**20


def test_trouble_of_the_transport_is_no_damage(tmp_path, monkeypatch):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("gone")

        def seek(self, offset, whence=0):
            raise ConnectionResetError("gone")

    monkeypatch.setattr(LocalFileSystem, "open", lambda *_: Broken())
    for name in ("a.jsonl", "a.gz", "a.bz2", "a.zst", "a.csv", "a.avro", "a.parquet"):
        with pytest.raises(ConnectionResetError, match="gone"):
            read(tmp_path / name)
