"""Files of lines: which match, how they are unpacked, and that a damaged one is no success."""

import bz2
import gzip
import os

import apache_beam as beam
import pytest
import zstandard
from apache_beam.testing.util import assert_that

from eddyline.io.files import ReadFiles, ReadLines, matching_files, opened
from eddyline.schemas.message import messages_of

LINES = [b'{"n": %d}' % n for n in range(3000)]
CONTENT = b"\n".join(LINES) + b"\n"
PACK = {
    ".jsonl": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
PACKED = [ending for ending in PACK if ending != ".jsonl"]


def read(path, rows=500, arrival_time=7):
    return [
        m
        for batch in ReadLines(rows).process((str(path), arrival_time))
        for m in messages_of(batch)
    ]


def write(tmp_path, ending, content=CONTENT):
    path = tmp_path / f"readings{ending}"
    path.write_bytes(PACK[ending](content))
    return path


@pytest.mark.parametrize("ending", PACK)
def test_a_file_is_unpacked_by_the_ending_of_its_name(tmp_path, ending):
    path = write(tmp_path, ending)
    messages = read(path)
    assert [message.payload for message in messages] == LINES
    assert {(message.source, message.arrival_time) for message in messages} == {(str(path), 7)}


@pytest.mark.parametrize("ending", PACKED)
def test_files_packed_one_by_one_and_joined_are_one_file(tmp_path, ending):
    path = tmp_path / f"two{ending}"
    path.write_bytes(PACK[ending](CONTENT) * 2)
    assert [message.payload for message in read(path)] == LINES * 2


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-1],
        lambda packed: packed + b"more",
        lambda _: CONTENT,
    ],
    ids=["half", "one byte short", "bytes behind", "not packed"],
)
def test_a_truncated_or_damaged_file_fails_with_its_name(tmp_path, ending, damage):
    path = write(tmp_path, ending)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OSError, match=f"readings{ending}: "):
        read(path)


@pytest.mark.parametrize("ending", PACK)
def test_a_file_of_nothing_has_no_messages(tmp_path, ending):
    assert read(write(tmp_path, ending, b"")) == []


@pytest.mark.parametrize("ending", PACK)
def test_an_opened_file_is_closed(tmp_path, ending):
    with opened(str(write(tmp_path, ending))) as file:
        assert file.read(10) == CONTENT[:10]
    assert file.closed


def test_files_match_by_name_in_order(tmp_path):
    for name in "fbhdacge":
        (tmp_path / f"{name}.jsonl").touch()
    (tmp_path / "a.txt").touch()
    found = [file.path for file in matching_files(str(tmp_path / "*.jsonl"))]
    assert found == [str(tmp_path / f"{name}.jsonl") for name in "abcdefgh"]
    [one] = matching_files(str(tmp_path / "a.txt"))
    assert one.path == str(tmp_path / "a.txt")


def test_no_match_is_an_error_that_names_the_pattern(tmp_path):
    pattern = str(tmp_path / "*.jsonl")
    with pytest.raises(FileNotFoundError, match="no file matches") as error:
        matching_files(pattern)
    assert pattern in str(error.value)


def test_a_batch_has_at_least_one_row():
    with pytest.raises(ValueError, match="rows must be at least 1, not 0"):
        ReadFiles("*", rows=0)


@pytest.mark.job
def test_the_transform_reads_each_line_of_each_file_once_at_its_last_change(tmp_path):
    changes = {"a.jsonl": 1_700_000_000, "b.jsonl": 1_600_000_000}
    for name, change in changes.items():
        (tmp_path / name).write_bytes(CONTENT)
        os.utime(tmp_path / name, (change, change))
    expected = {
        (str(tmp_path / name), f"{n:012d}", line, change * 1_000_000)
        for name, change in changes.items()
        for n, line in enumerate(LINES, start=1)
    }

    def check(messages):
        assert len(messages) == len(expected)
        assert {(m.source, m.position, m.payload, m.arrival_time) for m in messages} == expected

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        batches = pipeline | ReadFiles(str(tmp_path / "*.jsonl"), rows=1000)
        assert_that(batches | beam.FlatMap(messages_of), check)


@pytest.mark.job
def test_a_run_over_nothing_fails_and_names_the_pattern(tmp_path):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | ReadFiles(str(tmp_path / "none-*.jsonl"))
    with pytest.raises(Exception, match=r"no file matches '.*none-\*\.jsonl'"):
        pipeline.run().wait_until_finish()
