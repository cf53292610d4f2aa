"""Kinesis throttles, and is gone: one job lives through both."""

import json

import pytest
from chaos.audit import unjustly_late

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

OUTAGE = 60.0  # s
# A reading is soon in the lake, so that it shows when the job has caught up.
SOON = ("--disorder=3", "--flush-seconds=2")


def throttled():
    body = {
        "__type": "ProvisionedThroughputExceededException",
        "message": "Rate exceeded for shard",
    }
    return 400, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(body).encode()


@pytest.fixture(scope="module")
def lived(moto, proxy, running, feed, to_kinesis, recovery):
    """Both outages, one after the other, in one job; drained."""
    sender, before = to_kinesis("outages"), proxy(moto.url)
    running = running(sender.source, moto.through(before.url), SOON)
    told = {}
    with feed(sender) as feed:
        running.start(feed.check)
        throttling = told["throttled"] = recovery(running, feed)
        throttling.steady()
        with before.failing(throttled), throttling.outage_of(OUTAGE):
            pass
        told["refused"] = before.failed
        throttling.caught_up("source throttles")
        gone = told["gone"] = recovery(running, feed)
        gone.usual = throttling.usual
        with before.refusing(), gone.outage_of(OUTAGE):
            pass
        gone.caught_up("source gone")
    running.settled(feed)
    running.drain()
    assert before.violations == []
    return running, feed, told


def test_a_source_that_throttles_for_a_minute_is_caught_up_within_a_minute(lived):
    _, _, told = lived
    throttling = told["throttled"]
    assert told["refused"] > 5
    assert throttling.behind > 0.8 * OUTAGE
    assert throttling.recovered <= OUTAGE


def test_a_source_that_is_gone_for_a_minute_is_caught_up_within_a_minute(lived):
    _, _, told = lived
    gone = told["gone"]
    assert gone.behind > 0.8 * OUTAGE
    assert gone.recovered <= OUTAGE


def test_after_both_every_message_is_accounted_for(lived, audit):
    running, feed, _ = lived
    audit(running, feed)
    # What waited was in order: an outage makes nothing late.
    assert unjustly_late(running, disorder=3) == []
