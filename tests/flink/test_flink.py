"""The job on a real Flink cluster under faults: `make test-flink`, not part of `make test`."""

import time

import pytest

pytestmark = [pytest.mark.flink, pytest.mark.timeout(1200)]

POLICY_OF_NO_ALARMS = """
defaults: {quiet: 10s, thresholds: {event: 60, condition: 60}}
"""


class Told:
    """What a run left, and what an undisturbed one makes of the same messages."""

    def __init__(self, running, feed):
        self.running, self.feed = running, feed
        self.undisturbed = running.replayed()

    def both(self, name, told):
        return told(self.running.table(name)), told(self.running.table(name, self.undisturbed))


def every_row_once(told, audit):
    audit.every_reading_once(told.running, told.feed)
    audit.every_message_once(told.running, told.feed)


@pytest.fixture(scope="module")
def travelled(running, feed, kill, past, prism, tmp_path_factory):
    """From Prism to Flink, over other shards, through every kill, another policy and the end."""
    running = running("travelled")
    # So many that a bundle touches a few of a shard's: its state is a log that is compacted.
    before = past(tmp_path_factory.mktemp("past"), seed=5, devices=300)
    running.begun_elsewhere(before, prism)
    with feed("travelled", past=before) as feed:
        running.submit()
        running.checkpointed()
        running.left = running.leave()
        usual = max(running.behind(feed) for _ in range(3) if not time.sleep(1)) + feed.RATE
        with running.recovery(feed, usual, "TaskManager killed, another started"):
            kill.task_manager()
        with running.recovery(feed, usual, "worker killed"):
            kill.worker()
        kill.all_of_it()
        running.submit(f"--savepoint_path={running.last_checkpoint()}")
        running.checkpointed()
        assert running.counts()["restored"] == 1
        savepoint = running.stop_with_savepoint()
        running.changed_at = len(feed.sent)
        policy = running.policy.read_text()
        running.policy.write_text(POLICY_OF_NO_ALARMS)
        running.submit(f"--savepoint_path={savepoint}")
        running.checkpointed()
        running.sent(feed, running.changed_at + 20 * feed.devices)
    running.arrived(feed)
    running.drain()
    running.policy.write_text(policy)
    return Told(running, feed)


def test_killed_again_and_again_nothing_is_lost_and_nothing_is_twice(travelled, audit):
    every_row_once(travelled, audit)
    there, wanted = travelled.both("minutes", audit.minutes)
    assert there == wanted


def test_devices_go_on_from_another_engine_and_other_shards_as_if_nothing_had_been(
    travelled, audit
):
    """Bit for bit: on Prism in 5 shards, on Flink in 24, beside one whole run in 16."""
    there, wanted = travelled.both("readings", audit.scores)
    assert there == wanted
    assert list(there.values()).count(("WARM_UP", None)) == 100 * travelled.feed.devices


def test_until_the_policy_changes_verdicts_and_incidents_are_those_of_an_undisturbed_run(
    travelled, audit
):
    changed_at, feed = travelled.running.changed_at, travelled.feed
    # What waits for its order when the savepoint is made is judged by the new policy.
    until = audit.moment(feed.sent[changed_at - int(15 * feed.RATE)])
    there, wanted = travelled.both("readings", lambda table: audit.verdicts(table, until=until))
    assert there == wanted
    assert "ANOMALY" in there.values()
    there, wanted = (
        {key: told for key, told in incidents.items() if told[2] <= until}
        for incidents in travelled.both("incidents", audit.incidents)
    )
    assert there == wanted
    assert "opened" in {transition for transition, *_ in there.values()}


def test_from_a_savepoint_on_another_policy_holds(travelled, audit):
    changed_at, feed = travelled.running.changed_at, travelled.feed
    # A condition that has begun ends after ten readings in a row that are well.
    after = audit.later_than(feed.sent[changed_at:], 12)
    there, wanted = travelled.both("readings", lambda table: audit.verdicts_of(table, after))
    assert "ANOMALY" in wanted.values(), "it would have been one"
    assert set(there.values()) <= {"NORMAL", "LATE"}


def test_ctrl_c_says_that_the_job_goes_on_and_how_to_end_it(travelled):
    code, said = travelled.running.left
    assert code == 130
    assert "goes on" in said
    assert "deploy.flink savepoint" in said


def test_while_checkpoints_fail_nothing_is_committed_that_a_restore_would_make_again(
    running, feed, audit, kill
):
    running = running("outage")
    with feed("outage", seed=2) as feed:
        running.submit()
        running.checkpointed(3)
        before = running.rows("readings")
        with running.checkpoints_fail():
            time.sleep(8)
            kill.worker()
            time.sleep(6)
            # What was durable when it began may still have been committed; no more than that.
            assert running.rows("readings") <= before + 10 * feed.RATE
        running.checkpointed()
        kill.task_manager()
        running.checkpointed()
    running.arrived(feed)
    running.drain()
    told = Told(running, feed)
    every_row_once(told, audit)
    for name, of in (
        ("minutes", audit.minutes),
        ("readings", audit.scores),
        ("readings", audit.verdicts),
        ("incidents", audit.incidents),
    ):
        there, wanted = told.both(name, of)
        assert there == wanted, name


def test_killed_right_after_its_end_a_stream_is_whole_and_once_in_the_lake(
    running, feed, audit, kill
):
    """The last rows wait for the end of the stream; no checkpoint holds yet what it set free."""
    running, feed = running("ended"), feed("ended", seed=3)
    feed.at_once(3000)
    seldom = "--checkpointing_interval=8000"  # the next one is not there when the end is
    running.submit("--stop-messages=6000", "--flush-seconds=1", seldom)
    running.checkpointed(1)
    feed.at_once(3000)
    running.drained()
    kill.all_of_it()
    running.submit(f"--savepoint_path={running.last_checkpoint()}")
    running.drain()
    assert running.counts()["restored"] == 1
    told = Told(running, feed)
    every_row_once(told, audit)
    there, wanted = told.both("minutes", audit.minutes)
    assert there == wanted


def test_no_message_is_acknowledged_that_a_kill_takes_back(
    running, topic_feed, audit, kill, waiting
):
    """Each kill falls between two checkpoints, right after Flink has called for bundles."""
    feed = topic_feed("queue", seed=4)
    running = running("queue", source=feed.stream.source)
    with feed:
        running.submit('--source-options={"lease": 10}', "--checkpointing_interval=3000")
        for killing in (kill.task_manager, kill.worker, kill.task_manager):
            running.checkpointed(3)
            before = running.restarts()
            killing()
            waiting(lambda before=before: running.restarts() > before, 60, "it was noticed")
        running.checkpointed()
    assert feed.messages
    waiting(lambda: len(running.places()) == feed.messages, 120, f"{feed.messages} messages")
    running.drain()
    audit.every_reading_once(running, feed, again=True)
    # All are acknowledged: another job finds none.
    after = feed.messages
    feed.at_once(100)
    running.stop_file.unlink()
    running.lake = running.folder / "next"
    running.submit('--source-options={"lease": 10}')
    waiting(lambda: running.places().total() >= feed.messages - after, 120, "the next messages")
    time.sleep(12)  # a lease
    assert running.places().total() == feed.messages - after
