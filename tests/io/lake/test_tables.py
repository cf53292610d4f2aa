import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from eddyline.io.lake.delta_log import DeltaLog
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.read import open_table
from eddyline.io.lake.tables import Table, conform
from eddyline.schemas.ipc import decode_batch, encode_batch

UTC = pa.timestamp("us", "UTC")
DAY = 86_400_000_000


def store(lake, table, rows):
    files = table.write(lake, rows, now=0.0)
    pending = Pending().number([file.encode() for file in files], "p")
    DeltaLog(lake, table).append(pending.job, pending.files)
    return files


WIDE = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("seen", UTC),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        pa.field("on", pa.bool_()),
        pa.field("payload", pa.binary()),
        pa.field("rare", pa.float64()),
    ]
)


@pytest.fixture
def wide():
    return pa.Table.from_pylist(
        [
            {"id": 1, "seen": 1, "tags": ["a", "b"], "attributes": [("k", "v")], "on": True},
            {"id": 2, "seen": -1, "tags": [], "attributes": [], "on": None, "payload": b"\x00"},
            {"id": 3, "seen": DAY * 2, "rare": 1.5},
            *({"id": n, "seen": DAY * 2 + n} for n in range(4, 1000)),
        ],
        schema=WIDE,
    )


def test_every_type_comes_back_as_it_went_in(tmp_path, wide):
    table = Table("wide", WIDE, "seen")
    store(str(tmp_path), table, wide)
    back = DeltaTable(tmp_path / "wide").to_pyarrow_table()
    assert back.select(WIDE.names).sort_by("id").to_pylist() == wide.to_pylist()


def test_duckdb_and_pandas_read_what_was_written(tmp_path, wide):
    store(str(tmp_path), Table("wide", WIDE, "seen"), wide)
    delta = open_table(str(tmp_path), "wide")
    lake = duckdb.connect()
    lake.register("wide", delta.to_pyarrow_dataset())
    by_day = lake.sql("SELECT event_date::VARCHAR, count(*) FROM wide GROUP BY 1 ORDER BY 1")
    assert by_day.fetchall() == [("1969-12-31", 1), ("1970-01-01", 1), ("1970-01-03", 997)]
    assert lake.sql("SELECT id, tags FROM wide WHERE seen = to_timestamp(1e-6)").fetchall() == [
        (1, ["a", "b"])
    ]
    frame = delta.to_pyarrow_dataset().to_table().to_pandas()
    assert sorted(frame["id"]) == list(range(1, 1000))
    assert frame["rare"].sum() == 1.5


def test_a_filter_finds_its_row_through_the_statistics(tmp_path, table, rows):
    for first in range(0, 500, 100):
        store(str(tmp_path), table, rows(range(first, first + 100)))
    delta = open_table(str(tmp_path), "readings")
    found = delta.to_pyarrow_dataset().to_table(filter=ds.field("id") == 199)
    assert found["id"].to_pylist() == [199]
    assert len(delta.file_uris(file_pruning_predicate="id = 199")) == 1


def test_a_batch_over_three_days_is_one_file_a_day(tmp_path, table, rows):
    three = pa.concat_tables([rows([1, 2], 2), rows([3], 0), rows([4], 1), rows([5], 2)])
    files = table.write(str(tmp_path), three, now=0.0)
    assert [(file.date, file.rows) for file in files] == [
        ("2026-01-02", 1),
        ("2026-01-03", 1),
        ("2026-01-04", 3),
    ]


def test_rows_without_a_time_have_a_partition_of_their_own(tmp_path):
    table = Table("t", pa.schema([("id", pa.int64()), ("seen", UTC)]), "seen")
    rows = pa.table({"id": [1, 2], "seen": [None, 5]}, schema=table.schema)
    store(str(tmp_path), table, rows)
    back = DeltaTable(tmp_path / "t").to_pyarrow_dataset().to_table().sort_by("id").to_pylist()
    assert [(row["id"], row["event_date"] is None) for row in back] == [(1, True), (2, False)]


def test_a_file_written_twice_has_two_names(tmp_path, table, rows):
    first, second = (table.write(str(tmp_path), rows([1]), now=0.0)[0] for _ in range(2))
    assert first.path != second.path


def test_values_of_ten_megabytes_go_through(tmp_path):
    table = Table("big", pa.schema([("payload", pa.binary()), ("seen", UTC)]), "seen")
    payloads = [bytes([n]) * 10_000_000 for n in range(3)]
    batch = pa.record_batch({"payload": payloads, "seen": [1, 2, 3]}, schema=table.schema)
    rows = conform(pa.Table.from_batches([decode_batch(encode_batch(batch))]), table.schema, "big")
    (file,) = store(str(tmp_path), table, rows)
    assert len(file.encode()) < 1000
    back = DeltaTable(tmp_path / "big").to_pyarrow_table().sort_by("seen")
    assert back["payload"].to_pylist() == payloads


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"id": [1], "event_time": [1], "odd": [1]}, r"unknown columns \['odd'\]"),
        ({"event_time": [1]}, "id is null or missing"),
        ({"id": ["x"], "event_time": [1]}, "id: "),
        ({"id": pa.array([None], pa.int64()), "event_time": [1]}, "id is null or missing"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(table, given, said):
    with pytest.raises(ValueError, match=f"table readings: {said}"):
        conform(pa.table(given), table.schema, table.name)


@pytest.mark.parametrize(
    ("name", "fields", "time", "said"),
    [
        ("../up", [("t", UTC)], "t", "letters, digits"),
        ("a", [("t", UTC)], "other", "no column 'other'"),
        ("a", [("t", pa.int64())], "t", "no timestamp"),
        ("a", [("t", UTC), ("event_date", pa.date32())], "t", "derived"),
        ("a", [("t", UTC), ("d", pa.duration("s"))], "t", "table a: "),
    ],
)
def test_a_table_that_cannot_be_is_refused(name, fields, time, said):
    with pytest.raises(ValueError, match=said):
        Table(name, pa.schema(fields), time)
