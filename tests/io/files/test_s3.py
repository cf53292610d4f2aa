"""Objects of S3, against moto on loopback: listed, streamed, and read anywhere."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from eddyline.io.files import s3
from eddyline.io.files.contents import contents
from eddyline.io.files.kinds import kinds_of
from eddyline.io.files.listing import list_files
from eddyline.io.files.s3 import open_object
from eddyline.schemas.record import load_contract

pytestmark = pytest.mark.job


@pytest.fixture
def bucket(aws):
    client = aws("s3")
    place = {"LocationConstraint": client.meta.region_name}
    client.create_bucket(Bucket="bucket", CreateBucketConfiguration=place)

    def put(key, body):
        client.put_object(Bucket="bucket", Key=key, Body=body)

    return put


def test_more_objects_than_a_page_are_listed_and_a_star_stays_in_its_folder(bucket, monkeypatch):
    monkeypatch.setattr(s3, "PAGE", 10)
    for n in range(25):
        bucket(f"in/{n:04d}.csv", b"a\n1\n")
    bucket("in/deep/1.csv", b"a\n1\n")
    bucket("in/1.json", b"1\n")
    assert len(list_files("s3://bucket/in/*.csv")) == 25
    assert [file.path for file in list_files("s3://bucket/in/1.json")] == ["s3://bucket/in/1.json"]
    assert list_files("s3://bucket/none/*") == []


def test_an_object_is_read_from_anywhere(bucket):
    body = bytes(range(256)) * 20_000
    bucket("a", body)
    with open_object("s3://bucket/a") as file:
        assert file.read(10) == body[:10]
        assert file.seek(-7, io.SEEK_END) == len(body) - 7
        assert file.read() == body[-7:]
        assert file.seek(3_000_000) == 3_000_000
        assert file.read(5) == body[3_000_000:3_000_005]
        file.seek(0)
        assert file.read() == body
        file.seek(len(body) + 10)
        assert file.read() == b""


def test_an_empty_object_is_empty_and_a_missing_one_an_error(bucket):
    bucket("a", b"")
    with open_object("s3://bucket/a") as file:
        assert file.read() == b""
    with pytest.raises(ClientError, match="NoSuchKey"):
        open_object("s3://bucket/none")


def test_an_object_that_is_replaced_meanwhile_is_an_error_and_no_mixture(bucket):
    bucket("a", b"x" * 5_000_000)
    with open_object("s3://bucket/a") as file:
        file.read(10)
        bucket("a", b"y" * 5_000_000)
        file.seek(4_000_000)
        with pytest.raises(ClientError, match="PreconditionFailed"):
            file.read(10)


def test_parquet_and_csv_are_read_on_s3(bucket):
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": list(range(5_000))}), sink, row_group_size=500)
    bucket("a.parquet", sink.getvalue())
    bucket("a.csv", b"n\n" + b"1\n" * 5_000)
    kinds = kinds_of(load_contract())
    for name in ("a.parquet", "a.csv"):
        read = contents(f"s3://bucket/{name}", 0, 500, kinds)
        assert sum(batch.num_rows for batch in read) == 5_000
