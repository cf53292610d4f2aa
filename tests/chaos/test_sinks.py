"""The lake's bucket denies, is away, its disk is full, BigQuery is away: each for a minute."""

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from chaos.bigquery import DATASET, TABLES, InBigQuery, columns

pytestmark = [pytest.mark.live, pytest.mark.timeout(480)]

OUTAGE, AWAY = 60.0, 45.0  # s
TESTS = Path(__file__).parents[1]
# A reading is soon in the lake, so that it shows when the job has caught up.
SOON = ("--disorder=3", "--flush-seconds=2", "--lake-shards=1", "--shards=4")
OVER = re.compile(r"(the lake|BigQuery) \S+ refused \((.+?)\) for (\d+) s; going on")


def load(folder, name):
    """A module that lies with other tests: `io` cannot be imported as a package there."""
    found = importlib.util.spec_from_file_location(name, TESTS / "io" / folder / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def s3(moto):
    """S3 that fails as its `rule` says, before moto."""
    before = load("lake", "faulty_s3").FaultyS3(moto.port)
    yield before
    before.close()
    assert before.violations == []


@pytest.fixture(scope="module")
def bigquery():
    """The service, with every table there; it fails closed."""
    fake = load("warehouse", "fake_bigquery").FakeBigQuery(columns())
    yield fake
    fake.close()
    assert fake.violations == []


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk of its own for the lake."""
    small = load("lake", "small_disk")
    try:
        with small.small_disk(tmp_path_factory.mktemp("small") / "disk", "64m") as mounted:
            yield mounted
    except small.NoDisk as error:
        pytest.skip(str(error))


def waits(running):
    """The outages that the job says it has outlasted: (service, words, seconds)."""
    found = OVER.finditer(running.log.read_text())
    return [
        (service, words, int(seconds)) for service, words, seconds in map(re.Match.groups, found)
    ]


@pytest.fixture(scope="module")
def in_the_cloud(aws_here, s3, bigquery, proxy, running, feed, to_kinesis, recovery):
    """A bucket that denies, a bucket that is away, BigQuery that is away: one job; drained."""
    place = {"LocationConstraint": aws_here.environment["AWS_REGION"]}
    aws_here.client("s3").create_bucket(Bucket="lake-sinks", CreateBucketConfiguration=place)
    before = proxy(bigquery.url)
    environment = {
        **aws_here.environment,
        "AWS_ENDPOINT_URL_S3": s3.url,
        "BIGQUERY_EMULATOR_HOST": before.url,
    }
    sender = to_kinesis("sinks")
    warehouse = (f"--warehouse={DATASET}", f"--warehouse-tables={json.dumps(TABLES)}")
    job = running(sender.source, environment, (*SOON, *warehouse), "s3://lake-sinks/deep")
    told = {}
    with feed(sender, spikes=True) as sent:
        job.start(sent.check)
        denies = told["denies"] = recovery(job, sent)
        denies.steady()
        s3.rule = lambda _method, _path: "denied"
        with denies.outage_of(OUTAGE):
            pass
        s3.rule = lambda _method, _path: ""
        told["denied"] = s3.refused
        denies.caught_up("lake bucket denies")
        away = told["away"] = recovery(job, sent)
        away.usual = denies.usual
        with s3.away(), away.outage_of(AWAY):
            pass
        away.caught_up("lake bucket away")
        warehouse = told["warehouse"] = recovery(InBigQuery(job, bigquery), sent)
        warehouse.steady()
        with before.failing(unavailable):
            with warehouse.outage_of(OUTAGE):
                pass
            told["meanwhile"] = job.behind(sent)
        told["unavailable"] = before.failed
        warehouse.caught_up("BigQuery 503")
    job.settled(sent)
    job.drain()
    assert before.violations == []
    return job, sent, told


def unavailable():
    one = {"domain": "global", "reason": "backendError", "message": "the service is away"}
    body = {"error": {"code": 503, "message": "the service is away", "errors": [one]}}
    return 503, [("Content-Type", "application/json")], json.dumps(body).encode()


def test_a_bucket_that_denies_for_a_minute_is_caught_up_within_a_minute(in_the_cloud):
    job, _, told = in_the_cloud
    denies = told["denies"]
    assert told["denied"] > 5
    assert denies.behind > 0.8 * OUTAGE
    assert denies.recovered <= OUTAGE
    (service, words, seconds), *_ = waits(job)
    assert service == "the lake"
    assert "denied" in words.replace("_", "").lower()
    assert seconds > 0.8 * OUTAGE


def test_a_bucket_that_is_away_is_caught_up_as_soon(in_the_cloud):
    job, _, told = in_the_cloud
    away = told["away"]
    assert away.behind > 0.8 * AWAY
    assert away.recovered <= AWAY
    _, (service, words, seconds), *_ = waits(job)
    assert service == "the lake"
    assert "denied" not in words.lower()
    assert seconds > 0.8 * AWAY


def test_bigquery_that_answers_503_for_a_minute_is_caught_up_within_a_minute(in_the_cloud):
    job, _, told = in_the_cloud
    warehouse = told["warehouse"]
    assert told["unavailable"] > 5
    assert warehouse.behind > 0.8 * OUTAGE
    assert warehouse.recovered <= OUTAGE
    service, words, seconds = waits(job)[-1]
    assert service == "BigQuery"
    assert "503" in words
    assert seconds > 0.8 * OUTAGE


def test_the_lake_goes_on_while_bigquery_is_away(in_the_cloud):
    _, _, told = in_the_cloud
    print(f"\nBigQuery 503: the lake was {told['meanwhile']:.0f} s behind at its end")
    assert told["meanwhile"] < 0.5 * OUTAGE


def test_after_all_three_every_message_is_accounted_for_in_the_lake(in_the_cloud, audit):
    job, sent, _ = in_the_cloud
    audit(job, sent)


def test_bigquery_has_every_row_of_the_lake_once(in_the_cloud, bigquery):
    job, _, _ = in_the_cloud
    there = InBigQuery(job, bigquery)
    readings = Counter(int(row["reading_id"]) for row in there.rows("readings"))
    assert readings == Counter(job.table("readings", ["reading_id"])["reading_id"].to_pylist())
    for table in TABLES:
        assert len(there.rows(table)) == job.table(table).num_rows, table
    minutes = Counter(
        (row["device_id"], row["minute_start"], row["revision"]) for row in there.rows("minutes")
    )
    assert set(minutes.values()) == {1}
    print(
        f"\nBigQuery: {bigquery.rows_sent:,} rows sent, "
        f"{sum(len(there.rows(table)) for table in TABLES):,} there, "
        f"{bigquery.duplicates:,} dropped by their insert ids"
    )


@pytest.fixture(scope="module")
def on_a_small_disk(moto, disk, running, feed, to_kinesis, recovery):
    """A disk that is full for a minute, under one job; drained."""
    sender = to_kinesis("disk")
    job = running(sender.source, moto.environment, SOON, disk.path / "lake")
    with feed(sender) as sent:
        job.start(sent.check)
        full = recovery(job, sent)
        full.steady()
        disk.fill()
        with full.outage_of(OUTAGE):
            pass
        disk.make_room()
        full.caught_up("disk full")
    job.settled(sent)
    job.drain()
    return job, sent, full


def test_a_disk_that_is_full_for_a_minute_is_caught_up_within_a_minute(on_a_small_disk):
    job, _, full = on_a_small_disk
    assert full.behind > 0.8 * OUTAGE
    assert full.recovered <= OUTAGE
    assert (
        max(
            seconds
            for *told, seconds in waits(job)
            if told == ["the lake", "No space left on device"]
        )
        > 0.8 * OUTAGE
    )


def test_after_a_full_disk_every_message_is_accounted_for(on_a_small_disk, audit):
    job, sent, _ = on_a_small_disk
    audit(job, sent)


def test_a_full_disk_leaves_no_half_of_a_file(on_a_small_disk, disk):
    files = [path for path in (disk.path / "lake").rglob("*") if path.is_file()]
    data = [path for path in files if path.suffix == ".parquet"]
    rows = sum(pq.read_metadata(path).num_rows for path in data if "readings" in path.parts)
    assert rows >= on_a_small_disk[0].counts["readings"]
    assert [path for path in files if not path.stat().st_size] == []
    assert {path.suffix for path in files} == {".parquet", ".json", ".avro"}
