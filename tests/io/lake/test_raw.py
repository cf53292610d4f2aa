from datetime import UTC, datetime, timedelta

import fastavro
import pyarrow as pa
import pytest

from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.raw import RawZone
from eddyline.io.lake.read import raw_files, read_raw
from eddyline.schemas.message import MESSAGE_SCHEMA

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def zone(message_record):
    return RawZone(message_record)


@pytest.fixture
def messages():
    def make(minutes, source="a"):
        return pa.Table.from_pylist(
            [
                {
                    "payload": b"\x00%d" % minute,
                    "attributes": [("n", str(minute))],
                    "source": source,
                    "position": f"{minute:08d}",
                    "arrival_time": NOON + timedelta(minutes=minute),
                }
                for minute in minutes
            ],
            schema=MESSAGE_SCHEMA,
        )

    return make


@pytest.fixture
def store(tmp_path, zone):
    def write(rows, commit=True):
        files = zone.write(str(tmp_path), rows, now=0.0)
        pending = Pending().number([file.encode() for file in files], "p")
        if commit:
            DeltaLog(str(tmp_path), zone.log).append(pending.job, pending.files)
        return files

    return write


def blocks(file):
    with file.open("rb") as avro:
        return [block.num_records for block in fastavro.block_reader(avro)]


def positions(batches):
    return [(row["source"], int(row["position"])) for batch in batches for row in batch.to_pylist()]


def test_messages_come_back_as_they_arrived_in_order(tmp_path, store, messages):
    store(messages([130, 5, 61, 4]))
    store(messages([4, 3, 129], source="b"))
    lake = str(tmp_path)
    assert positions(read_raw(lake, rows=2)) == [
        ("b", 3), ("a", 4), ("b", 4), ("a", 5), ("a", 61), ("b", 129), ("a", 130),
    ]  # fmt: skip
    whole = pa.Table.from_batches(list(read_raw(lake)))
    assert whole.schema == MESSAGE_SCHEMA
    assert whole.slice(3, 1).to_pylist() == messages([5]).to_pylist()


def test_a_range_is_from_inclusive_to_exclusive_and_opens_only_its_hours(tmp_path, store, messages):
    store(messages(range(0, 600, 10)))
    lake = str(tmp_path)
    start, end = NOON + timedelta(minutes=60), NOON + timedelta(minutes=120)
    assert [file.rows for file in raw_files(lake, start, end)] == [6]
    wanted = [("a", minute) for minute in range(60, 120, 10)]
    assert positions(read_raw(lake, start, end)) == wanted
    assert positions(read_raw(lake, start + timedelta(minutes=1), end)) == wanted[1:]
    assert positions(read_raw(lake, end=start)) == [("a", n) for n in range(0, 60, 10)]


def test_a_file_that_was_not_committed_is_not_read(tmp_path, store, messages):
    store(messages([1]))
    store(messages([2]), commit=False)
    assert len(list((tmp_path / "raw").rglob("*.avro"))) == 2
    assert positions(read_raw(str(tmp_path))) == [("a", 1)]


def test_data_files_count_messages_and_avro_readers_read_them(tmp_path, store, messages):
    files = store(messages(range(0, 180, 30)))
    assert [file.rows for file in files] == [6]
    (first,) = (tmp_path / "raw" / "arrival_date=2026-01-02" / "arrival_hour=12").iterdir()
    with first.open("rb") as avro:
        assert [message["payload"] for message in fastavro.reader(avro)] == [b"\x000", b"\x0030"]


def test_a_reader_of_avro_gets_some_hundred_kilobytes_at_a_time(tmp_path, store, messages):
    rows = messages([1] * 30_000).to_pylist()
    store(pa.Table.from_pylist([{**row, "payload": bytes(100)} for row in rows], MESSAGE_SCHEMA))
    (file,) = (tmp_path / "raw").rglob("*.avro")
    counts = blocks(file)
    assert sum(counts) == 30_000
    assert 10 < len(counts) < 30


def test_messages_that_came_one_by_one_share_a_block(tmp_path, store, messages):
    store(pa.concat_tables([messages([minute]) for minute in range(50)]))
    (file,) = (tmp_path / "raw").rglob("*.avro")
    assert blocks(file) == [50]


def test_ten_megabytes_of_payload_go_through(tmp_path, store, messages):
    big = messages([1]).to_pylist()
    big[0]["payload"] = bytes(10_000_000)
    store(pa.Table.from_pylist(big, schema=MESSAGE_SCHEMA))
    (back,) = read_raw(str(tmp_path))
    assert back["payload"].to_pylist() == [bytes(10_000_000)]


def test_a_time_without_a_zone_is_refused(tmp_path, store, messages):
    store(messages([1]))
    with pytest.raises(ValueError, match="has no zone"):
        list(read_raw(str(tmp_path), start=datetime(2026, 1, 2)))  # noqa: DTZ001
