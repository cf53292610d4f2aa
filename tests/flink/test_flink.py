"""The job on a real Flink cluster under faults: `make test-flink`, not part of `make test`."""

import time

import pytest

from eddyline.io.lake.read import read_raw

pytestmark = pytest.mark.flink

POLICY_OF_NO_ALARMS = """
defaults: {quiet: 10s, thresholds: {event: 60, condition: 60}}
"""


def same_as_undisturbed(running, feed, audit):
    audit.every_reading_once(running, feed)
    raw = [row for batch in read_raw(str(running.lake)) for row in batch.to_pylist()]
    audit.every_message_once(feed, raw)
    replayed = running.replayed()
    for name, told in (
        ("minutes", audit.minutes),
        ("readings", audit.scores),
        ("incidents", audit.incidents),
    ):
        assert told(running.table(name)) == told(running.table(name, replayed)), name


@pytest.mark.timeout(600)
def test_killed_again_and_again_nothing_is_lost_and_nothing_is_twice(running, feed, audit, kill):
    running = running("kills")
    with feed("kills") as feed:
        running.submit()
        running.checkpointed(3)
        kill.task_manager()
        running.checkpointed(3)
        kill.worker()
        running.checkpointed(3)
        assert running.restarts() >= 2
        kill.all_of_it()
        running.submit(f"--savepoint_path={running.last_checkpoint()}")
        running.checkpointed(3)
        assert running.counts()["restored"] == 1
        kill.worker()
        running.checkpointed(2)
    running.settled(feed)
    running.drain()
    same_as_undisturbed(running, feed, audit)


@pytest.mark.timeout(600)
def test_while_checkpoints_fail_nothing_is_committed_that_a_restore_would_make_again(
    running, feed, audit, kill
):
    running = running("outage")
    with feed("outage", seed=2) as feed:
        running.submit()
        running.checkpointed(4)
        before = running.rows("readings")
        with running.checkpoints_fail():
            time.sleep(14)
            kill.worker()
            time.sleep(6)
            # What was durable when it began may still have been committed; no more than that.
            assert running.rows("readings") <= before + 10 * feed.RATE
        running.checkpointed(2)
        kill.task_manager()
        running.checkpointed(2)
    running.settled(feed)
    running.drain()
    same_as_undisturbed(running, feed, audit)


@pytest.mark.timeout(600)
def test_a_savepoint_resumes_with_another_policy_and_what_was_learned(running, feed, audit):
    running = running("savepoint")
    with feed("savepoint", seed=3) as feed:
        running.submit()
        running.checkpointed(3)
        running.until_scored()
        savepoint = running.stop_with_savepoint()
        changed_at = len(feed.sent)
        running.policy.write_text(POLICY_OF_NO_ALARMS)
        running.submit(f"--savepoint_path={savepoint}")
        running.checkpointed(4)
    running.settled(feed)
    running.drain()
    audit.every_reading_once(running, feed)
    audit.incidents(running.table("incidents"))
    replayed = running.replayed()
    assert audit.minutes(running.table("minutes")) == audit.minutes(
        running.table("minutes", replayed)
    )
    late = set(feed.sent[changed_at + 20 * 60 :])
    rows = running.table("readings").select(["device_id", "event_time", "verdict"]).to_pylist()
    after = [row for row in rows if (row["device_id"], audit.micros(row["event_time"])) in late]
    assert {row["verdict"] for row in after} <= {"NORMAL", "LATE"}
    # Nothing was learned anew, and nothing otherwise: the models went on from the savepoint.
    assert audit.of_verdict(rows, "WARM_UP") == 100 * feed.DEVICES
