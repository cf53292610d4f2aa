"""Files of lines: which match, how they are unpacked, and that a damaged one is no success."""

import bz2
import gzip
import os
import tracemalloc

import apache_beam as beam
import pytest
import zstandard
from apache_beam.io.filesystems import FileSystems
from apache_beam.testing.util import assert_that

from eddyline.io.files import ReadFiles, matching_files, opened
from eddyline.io.files.contents import contents
from eddyline.io.files.damaged import Damaged
from eddyline.io.files.kinds import kinds_of
from eddyline.schemas.message import messages_of
from eddyline.schemas.record import load_contract
from eddyline.schemas.unreadable import unreadable

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
        for batch in contents(str(path), arrival_time, rows, kinds_of(load_contract()))
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
def test_a_truncated_or_damaged_file_gives_what_can_be_read_and_one_mark(tmp_path, ending, damage):
    path = write(tmp_path, ending)
    path.write_bytes(damage(path.read_bytes()))
    *read_before, mark = read(path)
    assert [message.payload for message in read_before] == LINES[: len(read_before)]
    assert not any(unreadable(message.attributes) for message in read_before)
    why, words = unreadable(mark.attributes)
    assert why == "damaged_file"
    assert f"readings{ending}: " in words
    assert (mark.source, mark.position) == (str(path), f"{len(read_before) + 1:012d}")
    assert mark == read(path)[-1]
    with pytest.raises(Damaged, match=f"readings{ending}: "), opened(str(path)) as file:
        list(iter(lambda: file.read(2**20), b""))


@pytest.mark.parametrize("ending", [".gz", ".bz2"])
def test_what_comes_before_the_end_of_a_truncated_file_is_kept_to_the_byte(tmp_path, ending):
    content = b"\n".join(b"%d" % (n**9) for n in range(60_000))
    path = write(tmp_path, ending, content)
    path.write_bytes(path.read_bytes()[:-20])
    *read_before, mark = read(path)
    got = b"\n".join([*(message.payload for message in read_before), mark.payload])
    assert content.startswith(got)
    assert len(got) > 0.6 * len(content)


@pytest.mark.parametrize("ending", PACKED)
def test_a_bomb_is_unpacked_in_pieces(tmp_path, ending):
    path = write(tmp_path, ending, bytes(100 * 2**20))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with opened(str(path)) as file:
        size = 0
        while piece := file.read(2**20):
            size += len(piece)
    assert size == 100 * 2**20
    assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("ending", PACK)
def test_a_file_of_nothing_has_no_messages(tmp_path, ending):
    assert read(write(tmp_path, ending, b"")) == []


@pytest.mark.parametrize("ending", PACK)
def test_an_opened_file_is_closed(tmp_path, ending, monkeypatch):
    handles, plain = [], FileSystems.open

    def noted(*arguments, **more):
        handles.append(plain(*arguments, **more))
        return handles[-1]

    monkeypatch.setattr(FileSystems, "open", noted)
    with opened(str(write(tmp_path, ending))) as file:
        assert file.read(10) == CONTENT[:10]
    assert [handle.closed for handle in handles] == [True]


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
def test_a_broken_file_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"device_id,ts\na,1\n")[:-9])
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more PAR1")
    (tmp_path / "c.avro").write_bytes(b"nothing of that")
    (tmp_path / "d.jsonl").write_bytes(CONTENT)

    def check(messages):
        marked = {m.source[-1] for m in messages if unreadable(m.attributes)}
        assert marked == {"z", "t", "o"}
        assert sum(m.payload in LINES for m in messages) == len(LINES)

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        batches = pipeline | ReadFiles(str(tmp_path / "*"))
        assert_that(batches | beam.FlatMap(messages_of), check)


@pytest.mark.job
def test_a_run_over_nothing_fails_and_names_the_pattern(tmp_path):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | ReadFiles(str(tmp_path / "none-*.jsonl"))
    with pytest.raises(Exception, match=r"no file matches '.*none-\*\.jsonl'"):
        pipeline.run().wait_until_finish()
