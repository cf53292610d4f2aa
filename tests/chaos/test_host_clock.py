"""The clock of the job's machine is set while it runs."""

from collections import Counter

import pytest
from chaos.audit import unjustly_late
from chaos.host_clock import HostClock

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

SOON = ("--disorder=3", "--flush-seconds=2")
OUTAGE = 40.0  # s


def test_a_host_clock_that_is_set_a_day_back_and_right_again_changes_nothing(
    moto, running, feed, to_kinesis, recovery, audit, tmp_path
):
    clock, sender = HostClock(tmp_path), to_kinesis("clock")
    running = running(sender.source, {**moto.environment, **clock.environment}, SOON)
    with feed(sender, rate=120) as feed:
        running.start(feed.check)
        jump = recovery(running, feed)
        jump.steady()
        clock.set(-86_400)
        with jump.outage_of(OUTAGE):
            pass
        clock.set(0)
        jump.caught_up("host clock set")
    running.settled(feed)
    running.drain()
    audit(running, feed)
    assert unjustly_late(running, disorder=3) == []
    truth = Counter((device, micros // 60_000_000) for device, micros in feed.sent)
    minutes = running.table("minutes", ["device_id", "minute_start", "revision", "readings"])
    told = {}
    for row in minutes.to_pylist():
        minute = (row["device_id"], round(row["minute_start"].timestamp()) // 60)
        told[minute] = max(told.get(minute, (-1, 0)), (row["revision"], row["readings"]))
    assert {minute: count for minute, (_, count) in told.items()} == truth
