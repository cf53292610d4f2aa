"""The Pub/Sub emulator is killed and started again: it has forgotten all, the job goes on."""

import time

import pytest
from chaos.feed import Outgoing

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

OUTAGE = 60.0  # s
SOON = ("--disorder=3", "--flush-seconds=2")
LARGEST = 9_900_000  # bytes
HELD = 10.0  # s: what was sent so long before the kill was pulled, and is the job's


def test_an_emulator_that_is_killed_for_a_minute_costs_what_it_alone_knew_of(
    pubsub, to_pubsub, running, feed, recovery, audit
):
    sender = to_pubsub("telemetry")
    running = running(sender.source, pubsub.environment, SOON)
    feed = feed(sender)
    # The largest that Pub/Sub takes is 10 MB.
    feed.send_all([Outgoing("big", b"[" * LARGEST, "dead letter")])
    with feed:
        running.start(feed.check)
        restart = recovery(running, feed)
        restart.steady()
        killed = time.time()
        pubsub.kill()
        with restart.outage_of(OUTAGE):
            time.sleep(OUTAGE - 25)
            pubsub.start()
            # It is there, and the subscription is not: the job has to see that and to wait on.
            running.until(lambda: "it does not exist" in running.words(), 25, "seen to be gone")
        back = time.time()
        sender.create()
        lost = feed.sent_until(back) - running.readings()
        took = restart.caught_up("emulator restarted", forgiven=lost, since=back)
    running.settled(feed, but=lost, lost=feed.messages)
    running.drain()
    assert took <= OUTAGE
    lost -= running.readings()
    assert all(feed.sent[reading] > killed - HELD for reading in lost)
    # While it was away nobody had its word; from its return on everything is there, once.
    assert not [at for at in feed.sent.values() if killed + 1 < at < back - 1]
    assert feed.doubtful
    assert len([at for at in feed.sent.values() if at > back]) > 500
    letters = running.table("dead_letters", ["reason", "payload"]).to_pylist()
    assert [r["reason"] for r in letters if len(r["payload"]) == LARGEST] == ["too_large"]
    print(f"{len(lost)} of {len(feed.sent)} readings were lost with the emulator")
    audit(running, feed, lost=lost, perhaps=feed.doubtful)
