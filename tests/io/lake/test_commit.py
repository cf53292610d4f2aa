"""When a number counts as durable, step by step."""

import weakref

import pytest
from apache_beam.coders import RowCoder, registry
from apache_beam.transforms.window import GlobalWindow

from eddyline.io.lake.commit import Commit, CommitOnCheckpoint, CommittedFile
from eddyline.io.lake.confirmation import Confirmation
from eddyline.io.lake.pending import Pending
from eddyline.io.lake.read import open_table


class Cell:
    value = None

    def read(self):
        return self.value

    def write(self, value):
        self.value = value


class Timer:
    def __init__(self):
        self.times = []

    def set(self, when):
        self.times.append(when)


class Runner:
    """What Flink does with confirmations: it holds them until a checkpoint completes."""

    def __init__(self):
        self.asked = []

    def bundle(self, outputs):
        """A bundle ends; gives the numbers of the files that it committed."""
        outputs = list(outputs)
        self.asked += [one.value for one in outputs if hasattr(one, "tag")]
        return [one.number for one in outputs if not hasattr(one, "tag")]

    def complete(self):
        """A checkpoint is complete: all bundles that have ended by now are called."""
        asked, self.asked = self.asked, []
        for one in asked:
            one()


@pytest.fixture
def flink():
    return Runner()


@pytest.fixture
def file(tmp_path, table, rows):
    return lambda n: ("readings", table.write(str(tmp_path), rows([n]), now=0.0)[0].encode())


@pytest.fixture
def step(tmp_path, table):
    def make(kind=Commit, streaming=True):
        commit = kind(str(tmp_path), {"readings": table}, streaming, clock=lambda: 100.0)
        commit.setup()
        commit.start_bundle()
        return commit

    return make


def numbers(committed):
    return [entry.number for entry in committed]


def test_a_bundle_never_commits_what_it_numbered(step, file):
    commit, state, soon = step(), Cell(), Timer()
    list(commit.process(file(1), state, soon, Timer()))
    assert numbers(commit.on_soon("readings", state, soon)) == []
    commit.start_bundle()
    list(commit.process(file(2), state, soon, Timer()))
    assert numbers(commit.on_soon("readings", state, soon)) == [1]
    assert soon.times == [101.0] * 3, "the timer comes again while a file waits"
    commit.start_bundle()
    assert numbers(commit.on_soon("readings", state, soon)) == [2]
    assert len(soon.times) == 3, "and not when none does"


def test_a_steady_stream_does_not_push_its_commit_on(step, file):
    commit, state, soon = step(), Cell(), Timer()
    for n in range(5):
        list(commit.process(file(n), state, soon, Timer()))
    assert len(soon.times) == 1


def test_the_end_of_a_stream_commits_what_is_durable_and_comes_again(step, file, tmp_path, ids):
    commit, state, end = step(), Cell(), Timer()
    list(commit.process(file(1), state, Timer(), end))
    assert numbers(commit.on_end("readings", state, end)) == []
    assert len(end.times) == 2
    commit.start_bundle()
    assert numbers(commit.on_end("readings", state, end)) == [1]
    assert ids(open_table(str(tmp_path), "readings")) == [1]


def test_the_end_of_a_bounded_run_commits_all_and_no_timer_of_the_clock_is_set(step, file):
    commit, state, soon = step(streaming=False), Cell(), Timer()
    list(commit.process(file(1), state, soon, Timer()))
    assert numbers(commit.on_end("readings", state, Timer())) == [1]
    assert soon.times == []


def test_on_flink_a_number_waits_for_the_checkpoint_that_holds_it(step, file, flink):
    commit, state = step(CommitOnCheckpoint), Cell()

    def soon():
        return flink.bundle(step(CommitOnCheckpoint).on_soon("readings", state, Timer()))

    flink.bundle(commit.process(file(1), state, Timer(), Timer()))
    assert soon() == []
    flink.complete()
    # The bundle may have ended after the snapshot of the checkpoint that is complete now.
    assert soon() == []
    flink.bundle(commit.process(file(2), state, Timer(), Timer()))
    flink.complete()
    # The process knows, whichever instance it was.
    assert soon() == [1]
    flink.complete()
    assert soon() == [2]
    flink.complete()
    assert soon() == []


def test_on_flink_the_end_of_input_waits_for_its_checkpoint_like_all_else(step, file, flink):
    """Beyond the end Flink hears the timers of the clock no more, so this one comes again."""
    commit, state, end = step(CommitOnCheckpoint), Cell(), Timer()

    def ended():
        return flink.bundle(commit.on_end("readings", state, end))

    flink.bundle(commit.process(file(1), state, Timer(), end))
    flink.bundle(commit.process(file(2), state, Timer(), end))
    assert ended() == []
    flink.complete()
    assert ended() == []
    flink.complete()
    assert len(end.times) == 3
    assert max(end.times) < GlobalWindow().max_timestamp(), "Flink clears the state at that time"
    assert ended() == [1, 2]
    assert len(end.times) == 3


def test_on_flink_a_checkpoint_that_fails_confirms_nothing(step, file, flink):
    commit, state = step(CommitOnCheckpoint), Cell()
    flink.bundle(commit.process(file(1), state, Timer(), Timer()))
    for _ in range(20):
        assert flink.bundle(commit.on_soon("readings", state, Timer())) == []


def test_on_flink_a_number_that_a_restore_takes_back_is_not_known_of_the_file_before(
    step, file, flink
):
    """The job fails and goes on from its last checkpoint, in the same process."""
    commit, state = step(CommitOnCheckpoint), Cell()
    flink.bundle(commit.process(file(1), state, Timer(), Timer()))
    flink.complete()
    flink.bundle(commit.on_soon("readings", state, Timer()))
    flink.complete()
    assert flink.bundle(commit.on_soon("readings", state, Timer())) == [1]
    held = state.value
    flink.bundle(commit.process(file(2), state, Timer(), Timer()))
    flink.complete()  # of a checkpoint that does not hold it
    state.write(held)
    flink.asked.clear()
    flink.bundle(commit.process(file(3), state, Timer(), Timer()))
    assert flink.bundle(commit.on_soon("readings", state, Timer())) == []
    flink.complete()
    assert flink.bundle(commit.on_soon("readings", state, Timer())) == []
    flink.complete()
    assert flink.bundle(commit.on_soon("readings", state, Timer())) == [2]


def test_on_flink_what_another_process_numbered_came_from_a_checkpoint(step, file):
    state = Cell()
    state.write(Pending().number([file(1)[1]], "the process that was killed").encode())
    commit = step(CommitOnCheckpoint)
    assert numbers(commit.on_soon("readings", state, Timer())) == [1]


def test_what_was_committed_before_a_kill_is_told_and_not_added_again(step, file, tmp_path, ids):
    commit, state = step(), Cell()
    list(commit.process(file(1), state, Timer(), Timer()))
    commit.start_bundle()
    before = state.value
    list(commit.on_soon("readings", state, Timer()))
    state.write(before)  # the bundle that committed was lost
    assert numbers(step().on_soon("readings", state, Timer())) == [1]
    assert ids(open_table(str(tmp_path), "readings")) == [1]


def test_all_instances_of_a_process_share_a_log_that_closes_with_the_last(step, file):
    first, second, state = step(), step(), Cell()
    for one in (first, second):
        list(one.process(file(1), state, Timer(), Timer()))
        one.start_bundle()
        list(one.on_soon("readings", state, Timer()))
    held = first._logs["readings"]
    assert second._logs["readings"] is held
    known = weakref.ref(held)
    del held
    first.teardown()
    assert known() is not None
    second.teardown()
    assert known() is None


def test_what_leaves_the_lake_has_a_coder_of_its_schema():
    coder = registry.get_coder(CommittedFile)
    assert isinstance(coder, RowCoder)
    file = CommittedFile("readings", 1, "a.parquet", 10, 1000)
    assert coder.decode(coder.encode(file)) == file
    assert isinstance(registry.get_coder(Confirmation), RowCoder)
