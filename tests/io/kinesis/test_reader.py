import random

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from eddyline.io.kinesis.aggregated import MAGIC
from eddyline.io.kinesis.shards import lanes
from eddyline.io.sources.progress import ProgressCoder
from eddyline.io.sources.source import Unreadable
from eddyline.schemas.message import messages_of


def read(stream, reader, progress, rounds=100, until_quiet=True):
    """Poll round after round, moving the time on; gives the messages and the last progress."""
    messages = []
    for _ in range(rounds):
        polled = reader.poll(progress)
        progress = polled.progress
        found = [m for batch in polled.batches for m in messages_of(batch)]
        messages += found
        stream.now += max(polled.wait, 0.01)
        if until_quiet and not found and polled.wait == pytest.approx(0.25):
            break
        if progress.done:
            break
    return messages, progress


def payloads(messages):
    return [message.payload for message in messages]


def test_a_message_says_where_it_came_from(fake):
    stream = fake()
    shard = stream.put("device-7", b"{}")
    (message,), _ = read(stream, stream.reader(), stream.start())
    assert message.source == f"kinesis:s/{shard}"
    assert message.position == "1001".zfill(56)
    assert message.arrival_time == 1_000_000_000_000
    assert message.attributes == {"partition_key": "device-7"}


def test_a_split_shard_is_read_to_its_end_before_its_children(fake):
    stream = fake()
    for n in range(50):
        stream.put(f"d{n % 7}", b"before %d" % n)
    stream.split("shardId-000000000000")
    for n in range(50):
        stream.put(f"d{n % 7}", b"after %d" % n)
    messages, progress = read(stream, stream.reader(page=20), stream.start())
    assert sorted(payloads(messages)[:50]) == sorted(b"before %d" % n for n in range(50))
    assert sorted(payloads(messages)[50:]) == sorted(b"after %d" % n for n in range(50))
    assert progress.active == ["shardId-000000000001", "shardId-000000000002"]


def test_a_merged_shard_waits_for_both_its_parents(fake):
    stream = fake(shards=2)
    for n in range(90):
        stream.put(f"d{n}", b"before")
    stream.merge("shardId-000000000000", "shardId-000000000001")
    stream.put("d1", b"after")
    slow = "shardId-000000000001"
    gone = EndpointConnectionError(endpoint_url="x")
    stream.trouble = lambda _, shard: gone if shard == slow and stream.now < 1_000_005 else None
    messages, _ = read(stream, stream.reader(page=10), stream.start(), until_quiet=False)
    assert payloads(messages) == [b"before"] * 90 + [b"after"]


@settings(max_examples=80)
@given(seed=st.integers(0, 10**9), readers=st.integers(1, 3), page=st.sampled_from([1, 7, 100]))
def test_a_device_keeps_its_order_through_reshardings_and_restarts(fake, seed, readers, page):
    chance = random.Random(seed)
    stream = fake(shards=chance.randint(1, 4), tick=0.01)
    whole = stream.start()
    places = dict(enumerate(lanes(whole, readers)))
    merging = readers == 1  # a merge over a border of two readers' shards does not wait
    open_readers = {lane: stream.reader(page) for lane in places}
    taken, sent, coder = [], 0, ProgressCoder()

    def step(lane):
        polled = open_readers[lane].poll(places[lane])
        if chance.random() < 0.1:
            open_readers[lane] = stream.reader(page)  # it died, and nothing was committed
            return
        places[lane] = coder.decode(coder.encode(polled.progress))
        taken.extend(m for batch in polled.batches for m in messages_of(batch))

    for _ in range(120):
        stream.now += chance.random()
        action = chance.random()
        if action < 0.5:
            for _ in range(chance.randint(1, 20)):
                stream.put(f"d{chance.randrange(9)}", b"%d" % sent)
                sent += 1
        elif action < 0.55:
            stream.split(chance.choice(stream.open_shards).name)
        elif action < 0.6 and merging and len(stream.open_shards) > 1:
            at = chance.randrange(len(stream.open_shards) - 1)
            stream.merge(*(s.name for s in stream.open_shards[at : at + 2]))
        else:
            step(chance.choice(list(places)))
    for _ in range(2_000):
        stream.now += 0.3
        for lane in places:
            step(lane)
        if len(taken) >= sent:
            break
    assert sorted(int(m.payload) for m in taken) == list(range(sent))
    latest = {}
    for message in taken:
        device = message.attributes["partition_key"]
        assert latest.get(device, -1) < int(message.payload)
        latest[device] = int(message.payload)


def test_what_two_readers_share_is_read_once_even_where_a_merge_joins_them(fake):
    stream = fake(shards=2)
    one, other = lanes(stream.start(), 2)
    for n in range(20):
        stream.put(f"d{n}", b"%d" % n)
    stream.merge("shardId-000000000000", "shardId-000000000001")
    for n in range(20, 40):
        stream.put(f"d{n}", b"%d" % n)
    first, left = read(stream, stream.reader(), one)
    second, right = read(stream, stream.reader(), other)
    assert sorted(map(int, payloads(first + second))) == list(range(40))
    assert left.active == ["shardId-000000000002"]
    assert right.done


def test_an_iterator_serves_until_it_is_old(fake):
    stream = fake()
    reader, progress = stream.reader(), stream.start()
    for _ in range(5):
        stream.put("d", b"x")
        progress = reader.poll(progress).progress
        stream.now += 1
    assert [call for call, _, _ in stream.calls].count("iterator") == 1
    stream.now += 299
    stream.put("d", b"x")
    assert reader.poll(progress).progress.messages == 6
    assert [call for call, _, _ in stream.calls].count("iterator") == 2


def test_an_expired_iterator_is_replaced_at_once(fake):
    stream = fake()
    reader, progress = stream.reader(), stream.start()
    progress = reader.poll(progress).progress
    held = reader._iterators["shardId-000000000000"]
    reader._iterators["shardId-000000000000"] = held._replace(until=float("inf"))
    stream.now += 400
    stream.put("d", b"x")
    assert reader.poll(progress).progress.messages == 1


def test_no_shard_is_asked_more_than_five_times_a_second(fake):
    stream = fake(shards=3)
    for n in range(3_000):
        stream.put(f"d{n}", b"x")
    reader, progress = stream.reader(page=10), stream.start()
    while progress.messages < 3_000:
        polled = reader.poll(progress)
        progress = polled.progress
        stream.now += max(polled.wait, 0.001)
    for shard in stream.shards:
        times = [at for call, name, at in stream.calls if call == "records" and name == shard]
        assert all(later - at >= 0.999 for at, later in zip(times, times[5:], strict=False))


@pytest.mark.parametrize(
    "code",
    ["ProvisionedThroughputExceededException", "LimitExceededException", "InternalFailure"],
)
@pytest.mark.parametrize("call", ["records", "iterator"])
def test_throttling_passes_and_is_waited_for_ever_longer(fake, refuse, code, call, caplog):
    stream = fake()
    stream.put("d", b"x")
    reader, progress = stream.reader(), stream.start()
    stream.trouble = lambda made, _: refuse(code) if made == call else None
    waits = []
    for _ in range(9):
        polled = reader.poll(progress)
        assert polled.progress == progress
        assert polled.batches == []
        waits.append(polled.wait)
        stream.now += polled.wait
    assert waits == sorted(waits)
    assert waits[0] < 1
    assert waits[-1] == 10
    assert "no answer for" in caplog.text
    assert code in caplog.text
    stream.trouble = lambda *_: None
    stream.now += 10
    assert reader.poll(progress).progress.messages == 1
    assert "answers again" in caplog.text


def test_a_throttled_list_of_shards_costs_nothing(fake, refuse):
    stream = fake()
    reader, progress = stream.reader(), stream.start()
    stream.put("d", b"before")
    stream.split("shardId-000000000000")
    stream.put("d", b"after")
    again = Unreadable("throttled", passes=True)
    stream.trouble = lambda made, _: again if made == "list" and stream.now < 1_000_009 else None
    messages, _ = read(stream, reader, progress, until_quiet=False)
    assert payloads(messages) == [b"before", b"after"]


def test_a_shard_that_expired_unread_is_passed_over(fake):
    stream = fake()
    reader, progress = stream.reader(), stream.start()
    stream.put("d", b"lost")
    stream.split("shardId-000000000000")
    stream.put("d", b"after")
    del stream.shards["shardId-000000000000"]
    messages, progress = read(stream, reader, progress)
    assert payloads(messages) == [b"after"]
    assert "shardId-000000000000" not in progress.partitions


def test_a_checkpoint_of_another_stream_is_refused_in_words(fake, refuse):
    stream = fake()
    stream.put("d", b"x")
    _, progress = read(stream, stream.reader(), stream.start())
    stream.trouble = lambda made, _: (
        refuse("InvalidArgumentException") if made == "iterator" else None
    )
    with pytest.raises(Unreadable, match="another stream of this name"):
        stream.reader().poll(progress)


def test_a_missing_permission_is_named(fake, refuse):
    stream = fake()
    stream.trouble = lambda made, _: refuse("AccessDeniedException") if made == "records" else None
    with pytest.raises(Unreadable, match="kinesis:GetRecords"):
        stream.reader().poll(stream.start())


def test_the_watermark_follows_the_shard_that_is_furthest_behind(fake):
    stream = fake(shards=2)
    names = [stream.put(f"d{n}", b"x", at=1_000_000 + n) for n in range(40)]
    stream.now += 60
    reader, progress = stream.reader(page=1), stream.start()
    unread = {name: [n for n in range(40) if names[n] == name] for name in stream.shards}
    while any(unread.values()):
        polled = reader.poll(progress)
        progress = polled.progress
        for batch in polled.batches:
            for message in messages_of(batch):
                unread[message.source.rpartition("/")[2]].pop(0)
        oldest = min((rest[0] for rest in unread.values() if rest), default=None)
        if oldest is not None:
            assert progress.seen <= (1_000_000 + oldest) * 1_000_000
        stream.now += polled.wait


def test_an_idle_shard_follows_the_clock_of_the_service(fake):
    stream = fake(shards=2)
    stream.put("d1", b"x")
    reader, progress = stream.reader(), stream.start()
    for _ in range(3):
        stream.now += 100
        progress = reader.poll(progress).progress
    assert progress.seen == (1_000_300 - 1) * 1_000_000


def test_a_shard_that_cannot_be_asked_holds_the_watermark(fake):
    stream = fake(shards=2)
    reader, progress = stream.reader(), stream.start()
    stream.now += 10
    progress = reader.poll(progress).progress
    held = progress.seen
    gone = EndpointConnectionError(endpoint_url="x")
    stream.trouble = lambda _, shard: gone if shard == "shardId-000000000001" else None
    for _ in range(5):
        stream.now += 100
        progress = reader.poll(progress).progress
    assert progress.seen == held


def test_a_page_that_was_cut_is_no_end_even_where_the_service_says_so(fake):
    stream = fake()
    for n in range(30):
        stream.put("d", b"%d" % n, at=1_000_000 + n)
    stream.now = 2_000_000
    reader, progress = stream.reader(page=10), stream.start()
    answer = stream.get_records
    stream.get_records = lambda **given: _saying_the_end(answer(**given))
    progress = reader.poll(progress).progress
    assert progress.seen == 1_000_009_000_000


def _saying_the_end(answer):
    from msgspec.structs import replace

    return answer | {"answer": replace(answer["answer"], MillisBehindLatest=0)}


def test_how_far_behind_each_shard_is_can_be_told(fake):
    stream = fake(shards=2)
    for n in range(100):
        stream.put(f"d{n}", b"x")
    stream.now += 7
    polled = stream.reader(page=5).poll(stream.start())
    assert polled.behind == [7_000, 7_000]


def test_a_damaged_aggregate_is_one_message_as_it_is(fake):
    stream = fake()
    stream.put("d", MAGIC + b"not an aggregate" * 3)
    messages, _ = read(stream, stream.reader(), stream.start())
    assert payloads(messages) == [MAGIC + b"not an aggregate" * 3]


def test_a_round_over_many_full_shards_stays_small(fake):
    stream = fake(shards=40)
    for n in range(400):
        stream.put(f"d{n}", bytes(300_000))
    reader, progress = stream.reader(), stream.start()
    polled = reader.poll(progress)
    assert polled.progress.messages < 250
    assert polled.wait == 0
    messages, _ = read(stream, reader, polled.progress)
    assert len(messages) + polled.progress.messages == 400


def test_a_shard_that_is_gone_without_children_does_not_hold_the_others(fake):
    stream = fake(shards=2)
    reader, progress = stream.reader(), stream.start()
    stream.now += 100
    del stream.shards["shardId-000000000000"]
    progress = reader.poll(progress).progress
    assert list(progress.partitions) == ["shardId-000000000001"]
    assert progress.seen == 1_000_099_000_000


def test_an_iterator_of_a_poll_that_was_not_committed_is_not_used(fake):
    stream = fake()
    stream.put("d", b"1")
    stream.put("d", b"2")
    reader, progress = stream.reader(page=1), stream.start()
    for _ in range(2):
        assert payloads(messages_of(reader.poll(progress).batches[0])) == [b"1"]
        stream.now += 1


def test_the_watermark_is_not_ahead_of_what_arrived_while_an_empty_answer_was_made(
    fake, monkeypatch
):
    stream = fake()
    reader, answer_of = stream.reader(), stream.get_records

    def slow(**wanted):  # it looks, then stands still for a while, then stamps its answer
        monkeypatch.undo()
        answer = answer_of(**wanted)
        stream.now += 5
        stream.put("d", b"x")
        stream.now += 4
        return {**answer, "ResponseMetadata": stream._metadata()}

    monkeypatch.setattr(stream, "get_records", slow)
    polled = reader.poll(stream.start())
    assert polled.batches == []
    stream.now += polled.wait
    [message] = messages_of(reader.poll(polled.progress).batches[0])
    assert message.arrival_time >= polled.progress.seen
