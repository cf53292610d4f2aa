from eddyline.io.kinesis.shards import Shard, first_progress, lanes, with_children
from eddyline.io.sources.progress import Partition, Progress


def shard(name, *parents, key=0, closed=False):
    return Shard(name, parents, key, closed)


def test_lanes_cut_the_range_of_hash_keys_into_neighbours_of_like_number():
    whole = first_progress([shard(f"s{n}", key=(7 * n) % 10) for n in range(10)], "here")
    parts = [list(lane.partitions) for lane in lanes(whole, 3)]
    assert [len(part) for part in parts] == [3, 4, 3]
    assert [name for part in parts for name in part] == list(whole.partitions)
    assert [lane.lane for lane in lanes(whole, 3)] == [0, 1, 2]


def test_there_are_no_more_lanes_than_families_of_shards():
    whole = first_progress([shard("a"), shard("b", "a"), shard("c", "a")], "here")
    assert [list(lane.partitions) for lane in lanes(whole, 8)] == [["a", "b", "c"]]


def test_a_family_that_is_found_in_pieces_stays_together():
    chain = [shard("a", key=0), shard("c", key=9), shard("m", "a", "b", key=1), shard("b", key=5)]
    chain.append(shard("z", "b", "c", key=6))
    whole = first_progress(chain, "here")
    assert [set(lane.partitions) for lane in lanes(whole, 4)] == [{"a", "b", "c", "m", "z"}]


def test_a_child_is_not_older_than_its_parents():
    progress = Progress({"a": Partition("1", seen=5, ended=True), "b": Partition("2", seen=9)})
    listed = [shard("a"), shard("b"), shard("c", "a", "b")]
    child = with_children(progress, listed, "begin").partitions["c"]
    assert child == Partition("begin", seen=9, after=("a", "b"))


def test_generations_that_passed_meanwhile_are_all_found():
    progress = Progress({"a": Partition("1", ended=True)})
    listed = [shard("a"), shard("d", "c"), shard("c", "b"), shard("b", "a")]
    grown = with_children(progress, listed, "begin")
    assert set(grown.partitions) == {"a", "b", "c", "d"}
    assert grown.active == ["b"]


def test_ended_shards_are_forgotten_with_the_service_but_unread_ones_are_not():
    progress = Progress({"a": Partition("1", ended=True), "b": Partition("2")})
    assert set(with_children(progress, [shard("c", "x")], "begin").partitions) == {"b"}


def test_a_merged_shard_has_one_reader():
    one, other = Progress({"a": Partition("")}), Progress({"b": Partition("")}, lane=1)
    listed = [shard("a"), shard("b"), shard("m", "a", "b"), shard("n", "m")]
    assert set(with_children(one, listed, "").partitions) == {"a", "m", "n"}
    assert set(with_children(other, listed, "").partitions) == {"b"}
