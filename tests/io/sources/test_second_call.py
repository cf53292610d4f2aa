"""When a message is acknowledged on an engine whose first call proves nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.sources.progress import Progress
from eddyline.io.sources.second_call import SecondCall
from eddyline.io.sources.source import Polled


class Queue:
    """Its poll number n is acknowledged as n, and held until then."""

    def __init__(self):
        self.polls, self.acknowledged, self.closed = 0, [], False

    def poll(self, progress):
        self.polls += 1
        number = self.polls
        return Polled(progress, acknowledge=lambda: self.acknowledged.append(number))

    def keep(self, progress):
        return len(self.acknowledged) < self.polls

    def close(self):
        self.closed = True


def test_a_message_waits_for_the_call_of_a_bundle_that_began_after_its_own_call():
    queue = Queue()
    reader = SecondCall(queue)
    first = reader.poll(Progress()).acknowledge
    beside = reader.poll(Progress()).acknowledge
    first()
    beside()  # of the same checkpoint, or of one that knew nothing of it
    assert queue.acknowledged == []
    reader.poll(Progress()).acknowledge()
    assert queue.acknowledged == [1, 2]


def test_a_poll_without_messages_acknowledges_those_before():
    queue = Queue()
    reader = SecondCall(queue)
    reader.poll(Progress()).acknowledge()
    queue.poll = Polled  # with nothing to acknowledge
    reader.poll(Progress()).acknowledge()
    assert queue.acknowledged == [1]


def test_a_bundle_that_polls_no_more_acknowledges_those_before():
    queue = Queue()
    reader = SecondCall(queue)
    assert not reader.keep(Progress())
    called = reader.poll(Progress()).acknowledge
    early = reader.call()
    called()
    early()
    assert reader.keep(Progress())
    reader.call()()
    assert queue.acknowledged == [1]
    assert not reader.keep(Progress())


def test_one_that_fails_keeps_none_of_the_others_from_being_acknowledged():
    queue, polled = Queue(), []

    def fail():
        raise OSError("denied")

    reader = SecondCall(queue)
    polled.append(reader.call(fail))
    polled.append(reader.poll(Progress()).acknowledge)
    for call in polled:
        call()
    with pytest.raises(ExceptionGroup, match="not acknowledged"):
        reader.call()()
    assert queue.acknowledged == [1]


def test_calls_in_many_threads_acknowledge_each_message_once():
    queue = Queue()
    reader = SecondCall(queue)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(200):
            threads.submit(reader.poll(Progress()).acknowledge)
    reader.call()()
    assert sorted(queue.acknowledged) == [*range(1, 201)]


def test_closing_it_closes_the_reader():
    queue = Queue()
    SecondCall(queue).close()
    assert queue.closed


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=12), st.data()
)
def test_whenever_a_flink_is_killed_what_was_acknowledged_is_in_its_last_checkpoint(rounds, data):
    """An engine that calls as Flink does: at the end of a checkpoint, for all that ended by then.

    Each round polls, takes its snapshot, polls on, and completes; then it may die, and all that
    came after the last complete snapshot is undone.
    """
    queue, called = Queue(), 0
    reader = SecondCall(queue)
    for before, after in rounds:
        ended = [reader.poll(Progress()).acknowledge for _ in range(before)]
        durable = queue.polls
        ended += [reader.poll(Progress()).acknowledge for _ in range(after)]
        for call in data.draw(st.permutations(ended)):
            call()
        assert max(queue.acknowledged, default=0) <= durable
        if ended:
            assert sorted(queue.acknowledged) == [*range(1, called + 1)]
            called = queue.polls
