"""The Storage Write API against a gRPC service on loopback that reads what it is sent."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types

from eddyline.io.rows import resend as waiting
from eddyline.io.warehouse.dataset import Dataset
from eddyline.io.warehouse.storage_write import StorageWrite
from eddyline.io.warehouse.trouble import WarehouseRefused, WarehouseUnavailable

STREAM = "projects/p/datasets/t/tables/{}/streams/_default"


class FakeStorage:
    """`AppendRows` of the default stream; any other method is unimplemented."""

    def __init__(self):
        self.tables = {"minutes", "dead_letters", "readings"}
        self.rows = []
        self.largest = 0
        self.codes = []
        self.statuses = []
        self.bad_devices = set()
        handler = grpc.method_handlers_generic_handler(
            "google.cloud.bigquery.storage.v1.BigQueryWrite",
            {
                "AppendRows": grpc.stream_stream_rpc_method_handler(
                    self.append,
                    request_deserializer=types.AppendRowsRequest.deserialize,
                    response_serializer=types.AppendRowsResponse.serialize,
                )
            },
        )
        self.server = grpc.server(ThreadPoolExecutor(2), handlers=[handler])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def append(self, requests, context):
        for request in requests:
            routed = ("x-goog-request-params", f"write_stream={request.write_stream}")
            assert routed in [tuple(pair) for pair in context.invocation_metadata()]
            table = request.write_stream.split("/")[5]
            assert request.write_stream == STREAM.format(table)
            if table not in self.tables:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no table {table}")
            if self.codes:
                context.abort(self.codes.pop(0), "injected")
            if self.statuses:
                yield types.AppendRowsResponse(error={"code": self.statuses.pop(0)})
                continue
            yield self.take(request)

    def take(self, request):
        data = request.arrow_rows
        schema = pa.ipc.read_schema(pa.py_buffer(data.writer_schema.serialized_schema))
        message = pa.py_buffer(data.rows.serialized_record_batch)
        rows = pa.ipc.read_record_batch(message, schema).to_pylist()
        self.largest = max(self.largest, len(message))
        bad = [at for at, row in enumerate(rows) if row.get("device_id") in self.bad_devices]
        if bad:
            errors = [{"index": at, "code": 1, "message": "FIELDS_ERROR"} for at in bad]
            return types.AppendRowsResponse(
                error={"code": 3, "message": "rows are wrong"}, row_errors=errors
            )
        self.rows += rows
        return types.AppendRowsResponse(append_result={})


@pytest.fixture
def storage(monkeypatch):
    fake = FakeStorage()
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", f"127.0.0.1:{fake.port}")
    monkeypatch.setattr(waiting, "FIRST_WAIT", 0.01)
    yield fake
    fake.server.stop(None).wait()


@pytest.fixture
def writer(storage):
    made = StorageWrite(Dataset("p", "t"), patience=5.0)
    yield made
    made.close()


def test_rows_arrive_typed_as_they_are(storage, writer, table, minutes, letters):
    assert writer.write(table("minutes"), [minutes(range(3)), minutes([3])]) == []
    assert [row["device_id"] for row in storage.rows] == ["room-0", "room-1", "room-2", "room-3"]
    assert storage.rows[1]["minute_start"] == minutes([0]).column("minute_start")[0].as_py()
    storage.rows = []
    assert writer.write(table("dead_letters"), [letters([b"\xff"])]) == []
    (row,) = storage.rows
    assert row["payload"] == b"\xff"
    assert row["attributes"] == [{"key": "content-type", "value": "application/json"}]


def test_a_missing_list_is_an_empty_one(storage, writer, table, readings):
    assert writer.write(table("readings"), [readings([3])]) == []
    assert [row["beyond_limits"] for row in storage.rows] == [[]]


def test_a_row_that_is_refused_costs_itself_only(storage, writer, table, minutes):
    storage.bad_devices = {"room-1"}
    (row,) = writer.write(table("minutes"), [minutes(range(4))])
    assert (row.reason, json.loads(row.payload)["device_id"]) == ("refused", "room-1")
    assert [row["device_id"] for row in storage.rows] == ["room-0", "room-2", "room-3"]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED"])
def test_a_busy_service_is_asked_again(storage, writer, table, minutes, code):
    status = grpc.StatusCode[code]
    storage.codes, storage.statuses = [status, status], [status.value[0]]
    assert writer.write(table("minutes"), [minutes(range(4))]) == []
    assert len(storage.rows) == 4


def test_large_batches_are_spread_over_requests(storage, writer, table, letters):
    payloads = [b"%d" % n * 1_000_000 for n in range(9)]
    (row,) = writer.write(table("dead_letters"), [letters([*payloads, b"x" * 9_500_000])])
    assert row.reason == "too_large"
    assert len(storage.rows) == 9
    assert storage.largest <= 5_200_000


def test_an_outage_longer_than_the_patience_fails_the_bundle(storage, table, minutes):
    storage.codes = [grpc.StatusCode.UNAVAILABLE] * 1000
    hasty = StorageWrite(Dataset("p", "t"), patience=0.1)
    with pytest.raises(WarehouseUnavailable, match=r"no row of p\.t\.minutes for 0\.1 s"):
        hasty.write(table("minutes"), [minutes([1])])
    hasty.close()


def test_a_missing_table_and_permission_are_told_with_what_to_do(storage, writer, table, minutes):
    storage.tables = set()
    with pytest.raises(WarehouseRefused, match=r"no table p\.t\.minutes.*Terraform"):
        writer.write(table("minutes"), [minutes([1])])
    storage.tables, storage.codes = {"minutes"}, [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(WarehouseRefused, match=r"bigquery\.tables\.updateData"):
        writer.write(table("minutes"), [minutes([1])])
