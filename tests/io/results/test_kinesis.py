"""Results into Kinesis, which moto plays, and into one that is busy."""

import json

import boto3
import pytest

from eddyline.io.results.destination import parse_destination
from eddyline.io.results.kinesis import KinesisPublisher
from eddyline.io.results.writer import ResultWriter, publisher

pytestmark = pytest.mark.job


@pytest.fixture
def stream(aws, request):
    name = f"s{abs(hash(request.node.name))}"
    client = aws("kinesis")
    client.create_stream(StreamName=name, ShardCount=2)
    yield name
    client.delete_stream(StreamName=name)


@pytest.fixture
def records(stream):
    def read():
        client = boto3.client("kinesis")
        found = []
        for shard in client.list_shards(StreamName=stream)["Shards"]:
            start = client.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            found += client.get_records(ShardIterator=start["ShardIterator"])["Records"]
        return found

    return read


def written(writer, table, batches):
    refused = writer.write(table("incidents"), batches)
    writer.close()
    return refused


def test_rows_are_put_with_their_device_as_partition_key(stream, records, table, incidents):
    writer = ResultWriter(
        publisher(parse_destination(f"kinesis:{stream}"), ordered=False), "json", 5
    )
    assert written(writer, table, [incidents(range(700))]) == []
    found = records()
    assert len(found) == 700
    assert {(r["PartitionKey"], json.loads(r["Data"])["device_id"]) for r in found} == {
        (f"room-{n}", f"room-{n}") for n in range(5)
    }
    of_one = [json.loads(r["Data"])["event_time"] for r in found if r["PartitionKey"] == "room-3"]
    assert of_one == sorted(of_one)


def test_records_that_were_throttled_are_put_again_alone(
    stream, records, table, incidents, monkeypatch
):
    chosen = KinesisPublisher(stream)
    put, sizes = chosen._client.put_records, []

    def throttle(**arguments):
        sizes.append(len(arguments["Records"]))
        if len(sizes) > 2:
            return put(**arguments)
        taken, left = arguments["Records"][::2], arguments["Records"][1::2]
        put(**{**arguments, "Records": taken})
        told = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        return {"Records": [told if record in left else {} for record in arguments["Records"]]}

    monkeypatch.setattr(chosen._client, "put_records", throttle)
    assert written(ResultWriter(chosen, "json", 5), table, [incidents(range(100))]) == []
    assert sizes == [100, 50, 25]
    assert sorted(json.loads(r["Data"])["event_time"] for r in records()) == sorted(
        {json.loads(r["Data"])["event_time"] for r in records()}
    )
    assert len(records()) == 100


def test_a_record_that_is_too_large_is_a_dead_letter_and_the_rest_is_put(
    stream, records, table, incidents
):
    batch = incidents(range(4), explanation=["a", "b", "x" * 2**20, "d"])
    (row,) = written(ResultWriter(KinesisPublisher(stream), "json", 5), table, [batch])
    assert (row.reason, row.row_id[:14]) == ("too_large", "room-2/event/2")
    assert len(records()) == 3


def test_large_records_are_spread_over_requests(stream, records, table, incidents):
    batch = incidents(range(12), explanation=["x" * 900_000] * 12)
    assert written(ResultWriter(KinesisPublisher(stream), "json", 5), table, [batch]) == []
    assert len(records()) == 12


def test_a_stream_that_is_not_there_costs_dead_letters_and_not_the_job(aws, table, incidents):
    refused = written(
        ResultWriter(KinesisPublisher("none"), "json", 5), table, [incidents(range(3))]
    )
    assert [row.reason for row in refused] == ["undelivered"] * 3
    assert "ResourceNotFoundException" in refused[0].error


def test_a_service_that_is_away_for_longer_than_the_patience_costs_dead_letters(
    aws, table, incidents, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    refused = written(
        ResultWriter(KinesisPublisher("s"), "json", 0.1), table, [incidents(range(3))]
    )
    assert [row.reason for row in refused] == ["undelivered"] * 3
