"""When a number counts as durable, step by step."""

import pytest
from apache_beam.coders import RowCoder, registry

from eddyline.io.lake.commit import Commit, CommitOnCheckpoint, CommittedFile
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


class Finalizer(list):
    register = list.append


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
    commit.process(file(1), state, soon, Timer())
    assert numbers(commit.on_soon("readings", state, soon)) == []
    commit.start_bundle()
    commit.process(file(2), state, soon, Timer())
    assert numbers(commit.on_soon("readings", state, soon)) == [1]
    assert soon.times == [101.0] * 3, "the timer comes again while a file waits"
    commit.start_bundle()
    assert numbers(commit.on_soon("readings", state, soon)) == [2]
    assert len(soon.times) == 3, "and not when none does"


def test_a_steady_stream_does_not_push_its_commit_on(step, file):
    commit, state, soon = step(), Cell(), Timer()
    for n in range(5):
        commit.process(file(n), state, soon, Timer())
    assert len(soon.times) == 1


def test_the_end_of_a_stream_commits_what_is_durable_and_comes_again(step, file, tmp_path, ids):
    commit, state, end = step(), Cell(), Timer()
    commit.process(file(1), state, Timer(), end)
    assert numbers(commit.on_end("readings", state, end)) == []
    assert len(end.times) == 2
    commit.start_bundle()
    assert numbers(commit.on_end("readings", state, end)) == [1]
    assert ids(open_table(str(tmp_path), "readings")) == [1]


def test_the_end_of_a_bounded_run_commits_all_and_no_timer_of_the_clock_is_set(step, file):
    commit, state, soon = step(streaming=False), Cell(), Timer()
    commit.process(file(1), state, soon, Timer())
    assert numbers(commit.on_end("readings", state, Timer())) == [1]
    assert soon.times == []


def test_on_flink_a_number_waits_for_the_checkpoint_that_holds_it(step, file):
    commit, state, done = step(CommitOnCheckpoint), Cell(), Finalizer()
    commit.process(file(1), state, Timer(), Timer(), done)
    commit.start_bundle()
    assert numbers(commit.on_soon("readings", state, Timer())) == []
    done[0]()
    commit.process(file(2), state, Timer(), Timer(), done)
    other = step(CommitOnCheckpoint)  # the process knows, whichever instance it was
    assert numbers(other.on_soon("readings", state, Timer())) == [1]


def test_on_flink_what_another_process_numbered_came_from_a_checkpoint(step, file):
    state = Cell()
    state.write(Pending().number([file(1)[1]], "the process that was killed").encode())
    commit = step(CommitOnCheckpoint)
    assert numbers(commit.on_soon("readings", state, Timer())) == [1]


def test_what_was_committed_before_a_kill_is_told_and_not_added_again(step, file, tmp_path, ids):
    commit, state = step(), Cell()
    commit.process(file(1), state, Timer(), Timer())
    commit.start_bundle()
    before = state.value
    list(commit.on_soon("readings", state, Timer()))
    state.write(before)  # the bundle that committed was lost
    assert numbers(step().on_soon("readings", state, Timer())) == [1]
    assert ids(open_table(str(tmp_path), "readings")) == [1]


def test_what_leaves_the_lake_has_a_coder_of_its_schema():
    coder = registry.get_coder(CommittedFile)
    assert isinstance(coder, RowCoder)
    file = CommittedFile("readings", 1, "a.parquet", 10, 1000)
    assert coder.decode(coder.encode(file)) == file
