"""The frame by itself, around a source in memory."""

from dataclasses import dataclass, field

import pytest
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from eddyline.io.sources.lag import LAG
from eddyline.io.sources.open_readers import OpenReaders
from eddyline.io.sources.progress import Partition, Progress
from eddyline.io.sources.read import (
    Pace,
    Poll,
    PollAndAcknowledge,
    PollAndAcknowledgeLater,
    Watermark,
)
from eddyline.io.sources.source import Polled
from eddyline.io.sources.tracker import ProgressTracker
from eddyline.io.sources.until import Until
from eddyline.schemas.message import Message, message_batch


class Reader:
    def __init__(self, polls, held):
        self.polls, self.held, self.closed = polls, held, False

    def keep(self, progress):
        return bool(self.held)

    def poll(self, progress):
        polled = self.polls.pop(0)
        if isinstance(polled, Exception):
            raise polled
        return polled() if callable(polled) else polled

    def close(self):
        self.closed = True


@dataclass(eq=False)
class Memory:
    polls: list
    opened: list = field(default_factory=list)
    held: set = field(default_factory=set)
    name = "memory:it"
    acknowledges = False

    def open(self, clock):
        self.opened.append(Reader(self.polls, self.held))
        return self.opened[-1]


class Tracker(ProgressTracker):
    delay = None

    def defer_remainder(self, delay):
        _, self.rest = self.try_split(0)
        self.delay = float(delay)


class Finalizer(list):
    register = list.append


def polled(taken, seen, *arrivals, wait=0.0, **more):
    batches = [message_batch([Message(b"x", "s", "0", at) for at in arrivals])] if arrivals else []
    return Polled(Progress({"a": Partition(str(taken), seen)}, taken), batches, wait, **more)


def run(source, *, hold=1.0, allowance=0.0, until=None, times=None, kind=Poll, finalizer=None):
    ticks = iter(times) if times else None
    clock = (lambda: next(ticks)) if ticks else (lambda: 0.0)
    dofn = kind(source, Pace(hold, allowance), until or Until(), clock)
    tracker, watermark = Tracker(Progress()), Watermark().create_watermark_estimator(MIN_TIMESTAMP)
    more = {} if finalizer is None else {"finalizer": finalizer}
    made = list(dofn.process("it", tracker=tracker, watermark=watermark, **more))
    tracker.check_done()
    return made, tracker, watermark.current_watermark()


def test_it_stays_while_there_is_more_and_hands_on_where_it_stands():
    source = Memory([polled(1, 5, 5), polled(2, 7, 7), polled(2, 9, wait=0.25)])
    made, tracker, watermark = run(source)
    assert [value.timestamp for value in made] == [Timestamp(micros=5), Timestamp(micros=7)]
    assert tracker.delay == 0.25
    assert tracker.rest == polled(2, 9).progress
    assert watermark == Timestamp(micros=9)


def test_it_leaves_after_its_time_even_while_there_is_more():
    source = Memory([polled(n, n, n) for n in range(1, 99)])
    made, tracker, _ = run(source, hold=1.0, times=[0.0, 0.4, 0.8, 1.2])
    assert len(made) == 3
    assert tracker.delay == 0.0
    assert tracker.rest.messages == 3


def test_a_batch_is_stamped_with_its_earliest_arrival_less_the_allowance():
    source = Memory([polled(1, 30_000_000, 31_000_000, 29_000_000, 30_000_000, wait=1)])
    (value,), _, watermark = run(source, allowance=10)
    assert value.timestamp == Timestamp(19)
    assert watermark == Timestamp(20)


def test_the_watermark_does_not_go_back_nor_move_while_nothing_is_known():
    source = Memory([polled(0, 9), polled(0, 4), polled(0, -(2**62), wait=1)])
    _, _, watermark = run(source)
    assert watermark == Timestamp(micros=9)


def test_what_was_polled_after_a_checkpoint_of_the_engine_is_left_to_the_next():
    source = Memory([polled(1, 5, 5)])
    dofn = Poll(source, Pace(allowance=0), Until(), lambda: 0.0)
    tracker, watermark = Tracker(Progress()), Watermark().create_watermark_estimator(MIN_TIMESTAMP)

    def checkpointed():
        tracker.try_split(0)
        return polled(2, 7, 7)

    source.polls.append(checkpointed)
    made = list(dofn.process("it", tracker=tracker, watermark=watermark))
    assert [value.timestamp for value in made] == [Timestamp(micros=5)]
    assert watermark.current_watermark() == Timestamp(micros=5)


def test_what_is_to_be_acknowledged_is_given_to_the_bundle():
    acknowledged, finalizer = [], Finalizer()
    source = Memory([polled(1, 5, 5, acknowledge=lambda: acknowledged.append(1), wait=1)])
    run(source, kind=PollAndAcknowledge, finalizer=finalizer)
    assert acknowledged == []
    for callback in finalizer:
        callback()
    assert acknowledged == [1]


def test_a_source_that_ends_waits_until_all_is_acknowledged_where_one_call_proves_nothing():
    held = {1}
    source = Memory([polled(1, 5, 5, acknowledge=lambda: held.discard(1), wait=1)])
    source.held = held
    until = Until(messages=1)

    def visit(progress):
        dofn = PollAndAcknowledgeLater(source, Pace(1.0, 0.0), until, lambda: 0.0)
        tracker, finalizer = Tracker(progress), Finalizer()
        watermark = Watermark().create_watermark_estimator(MIN_TIMESTAMP)
        list(dofn.process("it", finalizer=finalizer, tracker=tracker, watermark=watermark))
        for callback in finalizer:
            callback()
        return tracker.rest if tracker.delay else tracker.current_restriction()

    progress, seen = Progress(), []
    while not progress.done:
        progress = visit(progress)
        seen.append((progress.done, len(held)))
    assert seen == [(False, 1), (False, 0), (True, 0)]
    assert not source.polls


def test_a_reader_serves_one_bundle_after_the_other_and_a_failed_one_no_more():
    source = Memory(
        [polled(1, 5, wait=1), polled(1, 5, wait=1), OSError("gone"), polled(1, 5, wait=1)]
    )
    run(source)
    run(source)
    assert len(source.opened) == 1
    with pytest.raises(OSError, match="gone"):
        run(source)
    assert source.opened[0].closed
    run(source)
    assert len(source.opened) == 2


def test_a_reader_is_lent_to_one_bundle_at_a_time():
    readers, made = OpenReaders(), []

    def make():
        made.append(Reader([], set()))
        return made[-1]

    with readers.lend("key", make) as one, readers.lend("key", make) as other:
        assert one is not other
    with readers.lend("another", make) as third:
        assert third not in (one, other)
    with readers.lend("key", make) as again:
        assert again in (one, other)


def test_an_end_is_an_end_and_not_a_checkpoint():
    source = Memory([polled(4, 5, 5)])
    _, tracker, _ = run(source, until=Until(messages=4))
    assert tracker.delay is None
    assert tracker.current_restriction().done


def test_a_reader_may_say_that_nothing_will_follow():
    source = Memory([Polled(Progress(done=True))])
    _, tracker, _ = run(source)
    assert tracker.delay is None


def test_the_partition_that_is_furthest_behind_is_told():
    run(Memory([polled(0, 5, wait=1, behind=[40, 7_000, 0])]))
    assert LAG.read()["memory:it"] == 7_000


def test_until_an_arrival_time_means_that_all_before_it_was_read():
    until = Until(arrival_time=10)
    assert not until.reached(Progress({"a": Partition("", 11), "b": Partition("", 9)}))
    assert until.reached(Progress({"a": Partition("", 11), "b": Partition("", 10)}))
