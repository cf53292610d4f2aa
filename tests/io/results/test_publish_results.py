"""The transform: which tables go where, and what becomes of what does not arrive."""

import apache_beam as beam
import boto3
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from eddyline.io.results import PublishResults


@pytest.mark.job
def test_a_job_publishes_the_tables_that_have_a_destination(aws, table, incidents):
    boto3.client("kinesis").create_stream(StreamName="there", ShardCount=1)
    destinations = {"incidents": "kinesis:there", "anomalies": "kinesis:nowhere"}
    transform = PublishResults(destinations, [table("incidents"), table("anomalies")], patience=0)
    anomaly = {
        "device_id": "room-1",
        "event_time": 5,
        "reading_id": 7,
        "detector": "density",
        "score": 20.0,
        "channels": [],
    }
    anomalies = incidents([]).from_pylist([anomaly], table("anomalies").schema)
    with beam.Pipeline(runner=FnApiRunner()) as job:
        batches = {
            "incidents": job | "I" >> beam.Create([incidents(range(5))], reshuffle=False),
            "anomalies": job | "A" >> beam.Create([anomalies], reshuffle=False),
            "minutes": job | "M" >> beam.Create(["goes nowhere"], reshuffle=False),
        }
        told = (
            batches
            | "Results" >> transform
            | beam.FlatMap(
                lambda b: [(r["stage"], r["source"], r["reason"]) for r in b.to_pylist()]
            )
        )
        wanted = [("results", "kinesis:nowhere.anomalies", "undelivered")]
        assert_that(told, equal_to(wanted))
    described = boto3.client("kinesis").list_shards(StreamName="there")["Shards"]
    start = boto3.client("kinesis").get_shard_iterator(
        StreamName="there", ShardId=described[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )
    records = boto3.client("kinesis").get_records(ShardIterator=start["ShardIterator"])
    assert len(records["Records"]) == 5


def test_settings_are_checked_before_anything_runs(table):
    tables = [table("incidents")]
    with pytest.raises(ValueError, match="none is given"):
        PublishResults({}, tables)
    with pytest.raises(ValueError, match="hours"):
        PublishResults({"hours": "kinesis:s"}, tables)
    with pytest.raises(ValueError, match="no destination"):
        PublishResults({"incidents": "s"}, tables)
    with pytest.raises(ValueError, match="encoding"):
        PublishResults({"incidents": "kinesis:s"}, tables, encoding="xml")
    with pytest.raises(ValueError, match="patience"):
        PublishResults({"incidents": "kinesis:s"}, tables, patience=-1)
