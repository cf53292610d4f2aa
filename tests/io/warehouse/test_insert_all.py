"""Streaming inserts against a BigQuery on loopback that fails closed."""

import json
import time

import pyarrow as pa
import pytest

from eddyline.io.rows import resend as waiting
from eddyline.io.warehouse import insert_all
from eddyline.io.warehouse.dataset import Dataset
from eddyline.io.warehouse.insert_all import InsertAll
from eddyline.io.warehouse.trouble import WarehouseRefused, WarehouseUnavailable


@pytest.fixture
def writer(bigquery, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_WAIT", 0.01)
    made = InsertAll(Dataset("p", "t"), patience=20.0)
    yield made
    made.close()


def test_rows_arrive_with_every_digit_and_microsecond(bigquery, writer, table, minutes):
    batch = minutes([3], readings=[2**63 - 1])
    assert writer.write(table("minutes"), [batch]) == []
    (row,) = bigquery.stored["t.minutes"]
    assert row["readings"] == str(2**63 - 1)
    assert row["minute_start"] == "2026-01-02T00:00:00.000000Z"
    assert (row["temperature_mean"], row["site"]) == (0.75, None)


def test_a_number_that_is_none_is_written_as_bigquery_spells_it(bigquery, writer, table, minutes):
    means = [float("nan"), float("inf"), float("-inf"), None]
    assert writer.write(table("minutes"), [minutes(range(4), temperature_mean=means)]) == []
    stored = [row["temperature_mean"] for row in bigquery.stored["t.minutes"]]
    assert stored == ["NaN", "Infinity", "-Infinity", None]


def test_bytes_and_maps_arrive(bigquery, writer, table, letters):
    assert writer.write(table("dead_letters"), [letters([b"\xff\x00"])]) == []
    (row,) = bigquery.stored["t.dead_letters"]
    assert row["payload"] == "/wA="
    assert row["attributes"] == [{"key": "content-type", "value": "application/json"}]


def test_a_missing_list_is_an_empty_one(bigquery, writer, table, readings):
    assert writer.write(table("readings"), [readings([3])]) == []
    (row,) = bigquery.stored["t.readings"]
    assert (row["beyond_limits"], row["reading_id"]) == ([], str(-(2**63) + 3))


def test_a_batch_that_is_written_again_is_there_once(bigquery, writer, table, minutes):
    for _ in range(3):
        assert writer.write(table("minutes"), [minutes(range(50))]) == []
    # other bundles on a replay: the same rows, cut otherwise
    assert writer.write(table("minutes"), [minutes(range(20, 50)), minutes(range(20))]) == []
    assert len(bigquery.stored["t.minutes"]) == 50
    assert bigquery.duplicates == 150


def test_a_row_of_the_same_key_with_other_content_is_not_taken_for_it(
    bigquery, writer, table, minutes
):
    writer.write(table("minutes"), [minutes([1])])
    writer.write(table("minutes"), [minutes([1], readings=[99])])
    assert [row["readings"] for row in bigquery.stored["t.minutes"]] == ["1", "99"]


def test_equal_dead_letters_of_one_message_are_all_kept_and_repeat_as_such(
    bigquery, writer, table, letters
):
    for _ in range(2):
        writer.write(table("dead_letters"), [letters([b"{", b"{", b"["])])
    assert len(bigquery.stored["t.dead_letters"]) == 3


def test_an_answer_that_got_lost_doubles_nothing(bigquery, writer, table, minutes):
    bigquery.lose_answers = 2
    assert writer.write(table("minutes"), [minutes(range(50))]) == []
    assert len(bigquery.stored["t.minutes"]) == 50
    assert bigquery.duplicates == 100


@pytest.mark.parametrize(
    "answer",
    [(503, "backendError"), (500, "internalError"), (502, "x"), (429, "x"), (403, "quotaExceeded")],
)
def test_a_busy_service_is_asked_again(bigquery, writer, table, minutes, answer):
    bigquery.answers = [answer] * 3
    assert writer.write(table("minutes"), [minutes(range(5))]) == []
    assert (len(bigquery.stored["t.minutes"]), bigquery.requests) == (5, 4)


def test_an_outage_is_waited_for(bigquery, writer, table, minutes):
    bigquery.away_until = time.monotonic() + 1.0
    assert writer.write(table("minutes"), [minutes(range(5))]) == []
    assert len(bigquery.stored["t.minutes"]) == 5


def test_an_outage_longer_than_the_patience_fails_the_bundle_and_the_next_one_finds_it(
    bigquery, table, minutes, monkeypatch
):
    monkeypatch.setattr(waiting, "FIRST_WAIT", 0.01)
    hasty = InsertAll(Dataset("p", "t"), patience=0.2)
    bigquery.answers = [(503, "backendError")] * 1000
    with pytest.raises(WarehouseUnavailable, match=r"no row of p\.t\.minutes for 0\.2 s.*503"):
        hasty.write(table("minutes"), [minutes(range(5))])
    bigquery.answers = []
    assert hasty.write(table("minutes"), [minutes(range(5))]) == []
    assert len(bigquery.stored["t.minutes"]) == 5
    hasty.close()


def test_a_row_that_the_table_does_not_take_costs_itself_only(bigquery, writer, table, minutes):
    columns = bigquery.tables["t.minutes"]
    next(c for c in columns if c["name"] == "temperature_mean")["type"] = "INTEGER"
    means = [None, 1.5, None, None]
    refused = writer.write(table("minutes"), [minutes(range(4), temperature_mean=means)])
    stored = [row["device_id"] for row in bigquery.stored["t.minutes"]]
    assert stored == ["room-0", "room-2", "room-3"]
    assert bigquery.requests == 1
    (row,) = refused
    assert (row.reason, row.error) == (
        "refused",
        "temperature_mean: Could not convert value to integer.",
    )
    assert json.loads(row.payload)["device_id"] == "room-1"
    assert row.row_id.startswith("room-1:2026-01-02T00:00:00.000000Z:0:")


def test_a_null_where_none_may_be_costs_its_row_only_and_is_not_sent(
    bigquery, writer, table, minutes
):
    fine = minutes(range(3))
    names = pa.array(["room-0", None, "room-2"])
    loose = pa.schema([field.with_nullable(True) for field in fine.schema])
    batch = pa.RecordBatch.from_arrays([names, *fine.columns[1:]], schema=loose)
    refused = writer.write(table("minutes"), [batch])
    assert [row.reason for row in refused] == ["wrong_type"]
    assert "device_id is null" in refused[0].error
    assert (bigquery.rows_sent, len(bigquery.stored["t.minutes"])) == (2, 2)


def test_rows_from_before_a_channel_was_declared_are_written(bigquery, writer, table, minutes):
    old = minutes(range(3)).drop_columns(["humidity_mean"])
    assert writer.write(table("minutes"), [old]) == []
    assert len(bigquery.stored["t.minutes"]) == 3


def test_a_year_that_bigquery_has_not_costs_its_row_only(bigquery, writer, table, minutes):
    late = minutes(
        range(2),
        minute_start=pa.array([0, 300_000_000_000_000_000], pa.int64()).cast(
            pa.timestamp("us", "UTC")
        ),
    )
    (row,) = writer.write(table("minutes"), [late])
    assert (row.reason, row.time) == ("refused", 300_000_000_000_000_000)
    assert len(bigquery.stored["t.minutes"]) == 1


def test_a_row_that_is_too_large_is_refused_before_it_is_sent(bigquery, writer, table, letters):
    huge = letters([b"small", b"x" * 7_000_000, b"small too"])
    refused = writer.write(table("dead_letters"), [huge])
    assert [row.reason for row in refused] == ["too_large"]
    assert len(bigquery.stored["t.dead_letters"]) == 2
    assert bigquery.largest_request < 10_000


def test_large_rows_are_spread_over_requests_that_the_service_takes(
    bigquery, writer, table, letters
):
    many = letters([b"%d" % n * 1_000_000 for n in range(10)])
    assert writer.write(table("dead_letters"), [many]) == []
    assert len(bigquery.stored["t.dead_letters"]) == 10
    assert 3 <= bigquery.requests <= 10
    assert bigquery.largest_request <= 5_200_000


def test_a_request_that_is_refused_as_a_whole_is_halved_until_its_row_is_found(
    bigquery, writer, table, letters, monkeypatch
):
    monkeypatch.setattr(insert_all, "MAX_ROW_BYTES", 20_000_000)
    monkeypatch.setattr(insert_all, "REQUEST_BYTES", 20_000_000)
    refused = writer.write(table("dead_letters"), [letters([b"a", b"x" * 8_000_000, b"b", b"c"])])
    assert [row.reason for row in refused] == ["too_large"]
    assert len(bigquery.stored["t.dead_letters"]) == 3


def test_rows_that_the_service_only_stopped_are_sent_again(bigquery, writer, table, minutes):
    troubled = []

    def fault(row):
        if row["device_id"] == "room-2" and len(troubled) < 2:
            troubled.append(row)
            return "backendError"
        return ""

    bigquery.row_fault = fault
    assert writer.write(table("minutes"), [minutes(range(4))]) == []
    assert len(bigquery.stored["t.minutes"]) == 4
    assert len(troubled) == 2


def test_a_missing_table_is_told_with_what_to_do(bigquery, writer, table, minutes):
    del bigquery.tables["t.minutes"]
    with pytest.raises(WarehouseRefused) as told:
        writer.write(table("minutes"), [minutes([1])])
    words = str(told.value)
    assert "no table p.t.minutes" in words
    assert "make it with Terraform" in words
    assert "eddyline schema minute --dialect bigquery" in words


def test_a_missing_permission_is_told_by_its_name(bigquery, writer, table, minutes):
    bigquery.denied = {"bigquery.tables.updateData"}
    with pytest.raises(WarehouseRefused, match=r"needs bigquery\.tables\.updateData.*dataEditor"):
        writer.write(table("minutes"), [minutes([1])])
