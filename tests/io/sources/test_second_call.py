"""When a message is acknowledged on an engine whose first call proves nothing."""

from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.sources.progress import Progress
from eddyline.io.sources.second_call import SecondCall
from eddyline.io.sources.source import Polled


class Queue:
    """Its poll number n is acknowledged as n."""

    def __init__(self):
        self.polls, self.acknowledged, self.closed = 0, [], False

    def poll(self, progress):
        self.polls += 1
        number = self.polls
        return Polled(progress, acknowledge=lambda: self.acknowledged.append(number))

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


def test_at_the_end_all_is_acknowledged_before_it_is_settled():
    queue = Queue()
    reader = SecondCall(queue)
    assert reader.settle() is None  # nothing was polled
    call = reader.poll(Progress()).acknowledge
    early = reader.settle()
    call()
    early()
    assert reader.settle() is not None
    reader.settle()()
    assert queue.acknowledged == [1]
    assert reader.settle() is None


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
